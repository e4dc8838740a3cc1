#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/grpc/framing.h"
#include "lib/grpc/metadata.h"
#include "lib/http/h2_connection.h"

namespace heddle::grpc {

struct ServerOptions {
  size_t message_bytes_max = kMessageBytesMax;  // Of what clients send.
  http::H2ConnectionOptions connection;
};

// One call under way on the server. Belongs to its handler's coroutine.
class ServerCall {
 public:
  ServerCall(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, const Peer& peer,
             size_t message_bytes_max, StopToken stop);

  const std::string& path() const { return path_; }
  // The request's header fields, "authorization" among them.
  const Metadata& metadata() const { return stream_->headers(); }
  const Peer& peer() const { return peer_; }
  // Requested when the client's deadline has passed, the client cancelled or is gone, or the server
  // stops.
  StopToken stop() { return deadline_->token(); }

  // The next message of the client. Empty when it has half-closed. An error ends the call: return
  // it from the handler.
  Task<absl::StatusOr<std::optional<std::string>>> Receive();
  // Sends a message; waits for room.
  Task<absl::Status> Send(std::string_view message);

 private:
  friend class Server;
  Task<void> Finish(absl::Status status);

  std::unique_ptr<http::H2Stream> stream_;
  const Peer& peer_;
  std::string path_;
  StopSource server_stop_;
  std::optional<Deadline> deadline_;
  MessageReader reader_;
  io::Buffer unread_;
  bool responded_ = false;
};

// A table of methods, served on any number of connections. Threads: one loop; the table does not
// change while it serves.
class Server {
 public:
  // Handlers may run many times at once. They are functions that return the task of a coroutine,
  // not capturing lambdas that are coroutines themselves.
  using StreamHandler = absl::AnyInvocable<Task<absl::Status>(ServerCall& call)>;
  using UnaryHandler =
      absl::AnyInvocable<Task<absl::StatusOr<std::string>>(ServerCall& call, std::string request)>;

  Server(io::Loop& loop, ServerOptions options) : loop_(loop), options_(std::move(options)) {}

  // `path` is "/package.Service/Method".
  void AddUnary(std::string path, UnaryHandler handler);
  void AddStream(std::string path, StreamHandler handler);

  // Serves a connection until it ends. A stop request drains it: two-phase GOAWAY, calls under way
  // get `drain_timeout`, then their stop tokens fire.
  Task<void> Serve(std::unique_ptr<io::Stream> transport, Peer peer, StopToken stop,
                   absl::Duration drain_timeout);

 private:
  struct Method {
    UnaryHandler unary;
    StreamHandler stream;
  };
  Task<void> Handle(std::unique_ptr<http::H2Stream> stream, const Peer& peer, StopToken stop);
  Task<absl::Status> Dispatch(ServerCall& call);
  Task<absl::Status> CallUnary(Method& method, ServerCall& call);

  io::Loop& loop_;
  const ServerOptions options_;
  absl::flat_hash_map<std::string, Method> methods_;
};

}  // namespace heddle::grpc
