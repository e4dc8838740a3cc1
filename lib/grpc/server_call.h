#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/executor.h"
#include "lib/grpc/framing.h"
#include "lib/grpc/message_pieces.h"
#include "lib/grpc/metadata.h"
#include "lib/http/h2_stream.h"
#include "lib/io/loop.h"

namespace heddle::grpc {

// One call under way on the server. Belongs to its handler's coroutine.
class ServerCall {
 public:
  // Without `timeout` the call has no deadline.
  ServerCall(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, const Peer& peer,
             size_t message_bytes_max, std::optional<absl::Duration> timeout);

  const std::string& path() const { return path_; }
  // The request's header fields, "authorization" among them.
  const Metadata& metadata() const { return stream_->headers(); }
  const Peer& peer() const { return peer_; }
  // Requested when the client's deadline has passed, the client cancelled or is gone, or the server
  // stops.
  StopToken stop() { return deadline_.token(); }
  // Requests stop() from our side: what waits on the call fails, and its handler ends it.
  void RequestStop() { ended_.RequestStop(); }

  // The next message of the client. Empty when it has half-closed. An error ends the call: return
  // it from the handler.
  Task<absl::StatusOr<std::optional<std::string>>> Receive();
  // Sends a message; waits for room.
  Task<absl::Status> Send(std::string_view message);
  // The same for one that is made meanwhile: asked for its next piece when the last one is out.
  Task<absl::Status> Send(MessagePieces& message);

 private:
  friend class Server;
  // Ends the call with its status. Never waits.
  void Finish(absl::Status status);
  absl::Status Respond();
  Task<absl::Status> WriteSending();

  std::unique_ptr<http::H2Stream> stream_;
  const Peer& peer_;
  std::string path_;
  LinkedStopSource ended_;
  Deadline deadline_;
  MessageReader reader_;
  io::Buffer unread_;
  std::string sending_;  // What Send is writing; nothing is held between two messages.
  bool responded_ = false;
};

}  // namespace heddle::grpc
