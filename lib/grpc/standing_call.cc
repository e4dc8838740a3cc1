#include "lib/grpc/standing_call.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"

namespace heddle::grpc {
namespace {

constexpr absl::Duration kBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMax = absl::Seconds(15);

}  // namespace

struct StandingCall::Current {
  std::unique_ptr<ClientCall> call;
  absl::Status refused;
  bool ended = false;
};

StandingCall::StandingCall(Parts parts)
    : parts_(std::move(parts)), changed_(parts_.loop), backoff_(kBackoffMin, kBackoffMax) {}

Task<void> StandingCall::Run(StopToken stop) {
  while (!stop.requested()) {
    const MonotonicTime began = parts_.loop.Now();
    const absl::Status ended = co_await ServeOne(stop);
    if (stop.requested()) break;
    LOG_DEBUG("grpc.standing_call.ended", KV("method", parts_.method), KV("error", ended));
    // One that lived longer than the longest wait worked.
    if (parts_.loop.Now() - began > kBackoffMax) backoff_.Reset();
    co_await parts_.loop.Sleep(backoff_.Next(parts_.random), stop);
  }
}

Task<absl::Status> StandingCall::ServeOne(StopToken stop) {
  CallOptions options;
  CO_TRY_ASSIGN(options.metadata, parts_.authorize());
  Current current;
  CO_TRY_ASSIGN(current.call,
                co_await parts_.channel.Open(parts_.method, std::move(options), stop));
  parts_.begun();
  Scope reading(parts_.loop);
  reading.Spawn(Read(current));
  co_await Write(current, stop);
  if (!current.ended) current.call->Cancel();
  co_await reading.Join();
  const absl::Status finished = co_await current.call->Finish();
  co_return current.refused.ok() ? finished : current.refused;
}

Task<void> StandingCall::Read(Current& current) {
  while (const std::optional<std::string> message = co_await current.call->Receive()) {
    current.refused = parts_.received(*message);
    if (!current.refused.ok()) {
      LOG_WARN("grpc.standing_call.refused", KV("method", parts_.method),
               KV("error", current.refused));
      current.call->Cancel();
      break;
    }
    changed_.NotifyAll();
  }
  current.ended = true;
  changed_.NotifyAll();
}

Task<void> StandingCall::Write(Current& current, StopToken stop) {
  while (!current.ended) {
    const std::optional<std::string> message = parts_.next();
    if (!message) {
      if (!co_await changed_.Wait(stop)) co_return;
      continue;
    }
    // What could not be sent is on a call that has ended: its own status says why.
    if (!(co_await current.call->Send(*message)).ok()) co_return;
  }
}

}  // namespace heddle::grpc
