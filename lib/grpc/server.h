#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/grpc/server_call.h"
#include "lib/http/h2_connection.h"

namespace heddle::grpc {

struct ServerOptions {
  size_t message_bytes_max = kMessageBytesMax;  // Of what clients send.
  http::H2ConnectionOptions connection;
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
  Task<void> Handle(std::unique_ptr<http::H2Stream> stream, const Peer& peer);
  Task<absl::Status> Dispatch(ServerCall& call);
  Task<absl::Status> CallUnary(Method& method, ServerCall& call);

  io::Loop& loop_;
  const ServerOptions options_;
  absl::flat_hash_map<std::string, Method> methods_;
};

}  // namespace heddle::grpc
