#include "agent/node/capture_reporter.h"

#include <algorithm>

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "proto/node.pb.h"

namespace heddle::agent {
namespace {

constexpr char kMethod[] = "/heddle.node.v1.CaptureReports/Report";
constexpr absl::Duration kBackoffMin = absl::Milliseconds(50);
constexpr absl::Duration kBackoffMax = absl::Seconds(15);

}  // namespace

std::string CaptureReporter::Report(uint64_t sequence) {
  node::v1::CaptureReport report;
  report.set_node(parts_.node_name);
  report.set_sequence(sequence);
  for (const PodStatus& status : parts_.list()) {
    if (!status.captured) continue;
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
  }
  return report.SerializeAsString();
}

Task<void> CaptureReporter::Run(StopToken stop) {
  absl::Duration backoff;
  while (!stop.requested()) {
    const MonotonicTime began = parts_.loop.Now();
    const absl::Status ended = co_await ServeStream(stop);
    if (stop.requested()) break;
    LOG_DEBUG("capture.report.ended", KV("error", ended));
    // A stream that lived longer than the longest pause worked.
    if (parts_.loop.Now() - began > kBackoffMax) backoff = absl::ZeroDuration();
    backoff = std::clamp(2 * backoff, kBackoffMin, kBackoffMax);
    co_await parts_.loop.Sleep(
        backoff * (0.8 + 0.4 * static_cast<double>(parts_.random.Below(1000)) / 1000), stop);
  }
}

Task<absl::Status> CaptureReporter::ServeStream(StopToken stop) {
  grpc::CallOptions options;
  CO_TRY_ASSIGN(options.metadata, parts_.authorize());
  CO_TRY_ASSIGN(const auto call, co_await parts_.channel.Open(kMethod, std::move(options), stop));
  // One report at a time: its acknowledgement is awaited, and what changed meanwhile is in the next
  // one.
  for (uint64_t sequence = 1;; ++sequence) {
    const uint64_t reported = generation_;
    const std::string report = Report(sequence);
    const absl::Status sent = co_await call->Send(report);
    const std::optional<std::string> bytes = sent.ok() ? co_await call->Receive() : std::nullopt;
    if (!bytes) co_return co_await call->Finish();
    CO_TRY_ASSIGN(const auto ack, grpc::Parse<node::v1::CaptureAck>(*bytes));
    for (const std::string& refused : ack.refused())
      LOG_WARN("capture.report.refused", KV("reason", refused));
    while (generation_ == reported) {
      if (!co_await changed_.Wait(stop)) co_return absl::CancelledError("stopped");
    }
  }
}

}  // namespace heddle::agent
