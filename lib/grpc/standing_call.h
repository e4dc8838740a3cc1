#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "lib/base/backoff.h"
#include "lib/base/random.h"
#include "lib/base/wait_queue.h"
#include "lib/grpc/channel.h"

namespace heddle::grpc {

// A bidirectional call that is always there: one that has ended, whoever ended it, is followed by
// another, after a wait that doubles while calls end early. It reads all the time, so that an end is
// seen also when there is nothing to send. One loop, that of the channel; its functions are called
// there, one at a time, and never after Run() has returned.
class StandingCall {
 public:
  struct Parts {
    io::Loop& loop;
    Random& random;
    Channel& channel;
    std::string method;  // "/package.Service/Method"
    // Metadata of the next call; an error counts as a call that has ended.
    absl::AnyInvocable<absl::StatusOr<Metadata>()> authorize;
    // A call has begun, on which nothing has been said.
    absl::AnyInvocable<void()> begun;
    // What is to be sent now; empty: nothing until Notify() or the next message received.
    absl::AnyInvocable<std::optional<std::string>()> next;
    // An error ends the call.
    absl::AnyInvocable<absl::Status(const std::string& message)> received;
  };
  explicit StandingCall(Parts parts);

  // Until stopped.
  Task<void> Run(StopToken stop);
  // There may be something to send.
  void Notify() { changed_.NotifyAll(); }

 private:
  struct Current;
  Task<absl::Status> ServeOne(StopToken stop);
  Task<void> Read(Current& current);
  Task<void> Write(Current& current, StopToken stop);

  Parts parts_;
  WaitQueue changed_;
  Backoff backoff_;
};

}  // namespace heddle::grpc
