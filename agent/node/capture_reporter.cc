#include "agent/node/capture_reporter.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "proto/node.pb.h"

namespace heddle::agent {
namespace {

constexpr char kMethod[] = "/heddle.node.v1.CaptureReports/Report";

}  // namespace

CaptureReporter::CaptureReporter(Parts parts)
    : parts_(std::move(parts)),
      call_({.loop = parts_.loop,
             .random = parts_.random,
             .channel = parts_.channel,
             .method = kMethod,
             .authorize = std::move(parts_.authorize),
             .begun = [this] { sent_ = acknowledged_ = 0; },
             .next = [this] { return Next(); },
             .received = [this](const std::string& message) { return Acknowledged(message); }}) {}

std::string CaptureReporter::Report(uint64_t sequence) {
  node::v1::CaptureReport report;
  report.set_node(parts_.node_name);
  report.set_sequence(sequence);
  for (const PodStatus& status : parts_.list()) {
    node::v1::CapturedPod& pod = *report.add_pods();
    pod.set_uid(status.record.uid);
    pod.set_namespace_(status.record.namespace_name);
    pod.set_name(status.record.name);
    pod.set_how("ebpf");
    pod.set_captured_since_ns(status.record.captured_unix_ns);
    for (const io::IpAddress& ip : status.record.addresses) {
      const auto bytes = ip.native_bytes();
      pod.add_addresses(bytes.data(), bytes.size());
    }
    pod.set_problem(status.problem);
  }
  for (const UncapturedPod& missed : parts_.uncaptured()) {
    node::v1::UncapturedPod& pod = *report.add_uncaptured();
    pod.set_uid(missed.uid);
    pod.set_problem(missed.problem);
  }
  return report.SerializeAsString();
}

// One report at a time: its acknowledgement is awaited, and what changed meanwhile is in the next
// one.
std::optional<std::string> CaptureReporter::Next() {
  if (acknowledged_ < sent_ || (sent_ > 0 && reported_ == generation_)) return std::nullopt;
  reported_ = generation_;
  return Report(++sent_);
}

absl::Status CaptureReporter::Acknowledged(const std::string& message) {
  TRY_ASSIGN(const auto ack, grpc::Parse<node::v1::CaptureAck>(message));
  for (const std::string& refused : ack.refused())
    LOG_WARN("capture.report.refused", KV("reason", refused));
  ++acknowledged_;
  return absl::OkStatus();
}

}  // namespace heddle::agent
