#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "lib/base/scope.h"
#include "lib/base/wait_queue.h"
#include "lib/http/h2_connection.h"

namespace heddle::http {

// Makes a connected stream (TCP, or TLS with ALPN h2) to the server; its error is a sentence.
using Dial = absl::AnyInvocable<Task<absl::StatusOr<std::unique_ptr<io::Stream>>>(StopToken stop)>;

struct H2ClientOptions {
  std::string server;  // For sentences: "the API server 10.96.0.1:443".
  absl::Duration connect_timeout = absl::Seconds(10);
  H2ConnectionOptions connection;
};

// A client's way to one server: one connection for all requests, made when somebody needs it and
// remade after it was lost. Whoever needs it while it is being made waits for that one attempt and
// shares its failure; the attempt goes on when who began it has given up. No retries and no
// back-off: callers do that. Threads: one loop. Call Shutdown() before destroying it.
class H2Client {
 public:
  H2Client(io::Loop& loop, Dial dial, H2ClientOptions options);

  // Lives as long as a stream of it does, and until it is lost. CANCELLED or DEADLINE_EXCEEDED when
  // stopped, CANCELLED after Shutdown(); otherwise what Dial says.
  Task<absl::StatusOr<H2ClientConnection*>> Connection(StopToken stop);

  // Waits until a connection has been made, for whomever, or `patience` is over: for those who
  // failed for want of one. False when stopped.
  Task<bool> AwaitConnection(absl::Duration patience, StopToken stop);

  // The next who needs a connection gets another one; what runs on this one goes on. Nothing when
  // it is not the one that requests go to.
  void Retire(H2ClientConnection* connection);

  // Ends the connections; waits for it. Streams must have been destroyed or be about to: they fail.
  Task<void> Shutdown();

  bool connected() const { return current_ != nullptr && current_->usable(); }
  uint64_t connects_total() const { return connects_total_; }

 private:
  Task<void> Connect();
  Task<void> Run(std::unique_ptr<H2ClientConnection> connection, uint64_t number);
  Task<void> EndWhenIdle(uint64_t number);

  io::Loop& loop_;
  Dial dial_;
  const H2ClientOptions options_;
  H2ClientConnection* current_ = nullptr;  // Where new requests go.
  // Owned by their Run(); numbered from one, because an address may come again.
  std::map<uint64_t, H2ClientConnection*> running_;
  bool connecting_ = false;
  bool shut_down_ = false;
  absl::Status failure_;  // Of the last attempt.
  uint64_t connects_total_ = 0;
  WaitQueue attempt_ended_;
  WaitQueue connection_made_;
  Scope scope_;
};

}  // namespace heddle::http
