#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/executor.h"
#include "lib/grpc/framing.h"
#include "lib/grpc/metadata.h"
#include "lib/http/h2_stream.h"
#include "lib/io/loop.h"

namespace heddle::grpc {

// One call under way on the client, bidirectional: messages are bytes. Destroy it before its
// channel has ended; destroying it before the end cancels the call. At most one Send and one
// Receive at a time.
class ClientCall {
 public:
  ClientCall(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, size_t message_bytes_max,
             absl::Duration timeout, StopToken stop);
  ~ClientCall();

  // Sends a message; waits for room (flow control). On an error the call is over: Finish() tells
  // why.
  Task<absl::Status> Send(std::string_view message);
  // No more messages from us.
  Task<absl::Status> HalfClose();
  // The next message; empty when the call is over: Finish() tells how.
  Task<std::optional<std::string>> Receive();
  // Waits for the end and returns the call's status. Messages not received are dropped.
  Task<absl::Status> Finish();
  // Ends the call now: CANCELLED.
  void Cancel();

  // The server's initial metadata, empty before the first Receive() or Finish() has returned.
  const Metadata& initial_metadata() const;
  const Metadata& trailing_metadata() const;

 private:
  // Waits for the response's headers and judges them.
  Task<void> ReadHeaders();
  // Waits for bytes, or for the end and the trailers.
  Task<void> ReadBody();
  // The call is over; the first status counts.
  void End(absl::Status status);

  std::unique_ptr<http::H2Stream> stream_;
  Deadline deadline_;
  MessageReader reader_;
  io::Buffer unread_;
  std::string sending_;  // The framed message that Send is writing.
  bool headers_read_ = false;
  std::optional<absl::Status> status_;
};

}  // namespace heddle::grpc
