#pragma once

#include <absl/functional/any_invocable.h>

#include <memory>

#include "lib/base/scope.h"
#include "lib/http/http1_message.h"
#include "lib/io/loop.h"
#include "lib/io/network.h"
#include "lib/io/socket.h"

namespace heddle::http {

// Answers a request. Runs on the server's loop and may wait.
using Http1Handler = absl::AnyInvocable<Task<Http1Response>(Http1Request request)>;

struct Http1ServerLimits {
  size_t connections_max = 64;  // More are closed at once: an admin port is not for traffic.
  size_t body_bytes_max = 64 * 1024;
  absl::Duration request_timeout = absl::Seconds(10);  // From accept to the end of the answer.
};

// A small HTTP/1.1 server for admin, metrics and readiness: one request per connection. On one
// loop; Run() ends when the stop token fires and every connection has ended.
class Http1Server {
 public:
  Http1Server(io::Loop& loop, Http1Handler handler, const Http1ServerLimits& limits = {});

  // Serves a TCP listener; several may run at once.
  Task<void> Run(std::unique_ptr<io::Listener> listener, StopToken stop);
  // Serves a Unix stream listener.
  Task<void> Run(std::unique_ptr<io::UnixListener> listener, StopToken stop);

 private:
  Task<void> Serve(std::unique_ptr<io::Connection> connection, StopToken stop);
  Task<void> Answer(io::Connection& connection, StopToken stop);
  void Accept(std::unique_ptr<io::Connection> connection, Scope& scope);

  io::Loop& loop_;
  Http1Handler handler_;
  Http1ServerLimits limits_;
  size_t connections_ = 0;
};

// One request over a connected stream, which is of no more use afterwards.
Task<Result<Http1Response, Http1Error>> Http1Call(io::Stream& stream, Http1Request request,
                                                  StopToken stop);

}  // namespace heddle::http
