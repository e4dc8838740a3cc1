#include "agent/node/removal_follower.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"
#include "proto/node.pb.h"

namespace heddle::agent {
namespace {

constexpr char kMethod[] = "/heddle.node.v1.NodeRemoval/Follow";
constexpr absl::Duration kBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMax = absl::Seconds(15);

}  // namespace

struct RemovalFollower::Stream {
  std::unique_ptr<grpc::ClientCall> call;
  bool ended = false;
};

void RemovalFollower::Report(RemovalReport report) {
  if (report == report_) return;
  report_ = std::move(report);
  changed_.NotifyAll();
}

Task<void> RemovalFollower::Run(StopToken stop) {
  absl::Duration backoff;
  while (!stop.requested()) {
    const MonotonicTime began = parts_.loop.Now();
    const absl::Status ended = co_await ServeStream(stop);
    if (stop.requested()) break;
    LOG_DEBUG("removal.stream.ended", KV("error", ended));
    // A stream that lived longer than the longest pause worked.
    if (parts_.loop.Now() - began > kBackoffMax) backoff = absl::ZeroDuration();
    backoff = std::clamp(2 * backoff, kBackoffMin, kBackoffMax);
    co_await parts_.loop.Sleep(
        backoff * (0.8 + 0.4 * static_cast<double>(parts_.random.Below(1000)) / 1000), stop);
  }
}

Task<void> RemovalFollower::ReadOrders(Stream& stream) {
  while (const std::optional<std::string> bytes = co_await stream.call->Receive()) {
    const auto order = grpc::Parse<node::v1::RemovalOrder>(*bytes);
    if (!order.ok()) {
      LOG_WARN("removal.order.unreadable", KV("error", order.status()));
      stream.call->Cancel();
      break;
    }
    parts_.on_order({.leave = order->leave(), .drain = absl::Seconds(order->drain_seconds())});
  }
  stream.ended = true;
  changed_.NotifyAll();
}

Task<void> RemovalFollower::SendReports(Stream& stream, StopToken stop) {
  std::optional<RemovalReport> told;
  while (!stream.ended) {
    if (told != report_) {
      told = report_;
      node::v1::RemovalReport message;
      message.set_node(parts_.node_name);
      message.set_gone(told->gone);
      message.set_note(told->note);
      const std::string bytes = message.SerializeAsString();
      // What could not be sent is a stream that has ended: its own status says why.
      if (!(co_await stream.call->Send(bytes)).ok()) co_return;
      continue;
    }
    if (!co_await changed_.Wait(stop)) co_return;
  }
}

Task<absl::Status> RemovalFollower::ServeStream(StopToken stop) {
  grpc::CallOptions options;
  CO_TRY_ASSIGN(options.metadata, parts_.authorize());
  Stream stream;
  CO_TRY_ASSIGN(stream.call, co_await parts_.channel.Open(kMethod, std::move(options), stop));
  Scope reading(parts_.loop);
  reading.Spawn(ReadOrders(stream));
  co_await SendReports(stream, stop);
  if (!stream.ended) stream.call->Cancel();
  co_await reading.Join();
  co_return co_await stream.call->Finish();
}

}  // namespace heddle::agent
