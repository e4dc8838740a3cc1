#include "agent/node/capture_reporter.h"

#include <algorithm>

#include "lib/base/log.h"
#include "lib/base/scope.h"
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

// One call: a coroutine sends reports, another reads what comes back.
struct CaptureReporter::Stream {
  std::unique_ptr<grpc::ClientCall> call;
  uint64_t acknowledged = 0;  // Reports.
  bool ended = false;
};

// Reads all the time, not only after a report: a stream that ends while there is nothing to report
// must be replaced at once, or the controller forgets this node's pods and announces them as plain.
Task<void> CaptureReporter::ReadAcks(Stream& stream) {
  while (const std::optional<std::string> bytes = co_await stream.call->Receive()) {
    const auto ack = grpc::Parse<node::v1::CaptureAck>(*bytes);
    if (!ack.ok()) {
      LOG_WARN("capture.report.answer", KV("error", ack.status()));
      stream.call->Cancel();
      break;
    }
    for (const std::string& refused : ack->refused())
      LOG_WARN("capture.report.refused", KV("reason", refused));
    ++stream.acknowledged;
    changed_.NotifyAll();
  }
  stream.ended = true;
  changed_.NotifyAll();
}

// One report at a time: its acknowledgement is awaited, and what changed meanwhile is in the next
// one.
Task<void> CaptureReporter::SendReports(Stream& stream, StopToken stop) {
  for (uint64_t sequence = 1; !stream.ended; ++sequence) {
    const uint64_t reported = generation_;
    const std::string report = Report(sequence);
    const bool sent = (co_await stream.call->Send(report)).ok();
    // What could not be sent is a stream that has ended: its own status says why.
    while (!stream.ended && (!sent || stream.acknowledged < sequence || generation_ == reported)) {
      if (!co_await changed_.Wait(stop)) co_return;
    }
  }
}

Task<absl::Status> CaptureReporter::ServeStream(StopToken stop) {
  grpc::CallOptions options;
  CO_TRY_ASSIGN(options.metadata, parts_.authorize());
  Stream stream;
  CO_TRY_ASSIGN(stream.call, co_await parts_.channel.Open(kMethod, std::move(options), stop));
  Scope reading(parts_.loop);
  reading.Spawn(ReadAcks(stream));
  co_await SendReports(stream, stop);
  if (!stream.ended) stream.call->Cancel();
  co_await reading.Join();
  co_return co_await stream.call->Finish();
}

}  // namespace heddle::agent
