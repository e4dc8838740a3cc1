#include "lib/grpc/server.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/grpc/status.h"
#include "lib/grpc/timeout.h"

namespace heddle::grpc {

void Server::AddUnary(std::string path, UnaryHandler handler) {
  CHECK(
      methods_.try_emplace(std::move(path), Method{.unary = std::move(handler), .stream = nullptr})
          .second);
}

void Server::AddStream(std::string path, StreamHandler handler) {
  CHECK(
      methods_.try_emplace(std::move(path), Method{.unary = nullptr, .stream = std::move(handler)})
          .second);
}

Task<void> Server::Serve(std::unique_ptr<io::Stream> transport, Peer peer, StopToken stop,
                         absl::Duration drain_timeout) {
  http::H2ServerConnection connection(loop_, std::move(transport), options_.connection);
  Scope calls(loop_);
  calls.Spawn(connection.Run({}));
  while (auto stream = co_await connection.Accept(stop))
    calls.Spawn(Handle(std::move(stream), peer));
  // Stopped or ended. While it drains, calls that were on the wire still come.
  Deadline patience(loop_, {}, drain_timeout);
  calls.Spawn(connection.Drain(patience.token()));
  while (auto stream = co_await connection.Accept({})) calls.Spawn(Handle(std::move(stream), peer));
  co_await calls.Join();
}

Task<void> Server::Handle(std::unique_ptr<http::H2Stream> stream, const Peer& peer) {
  const http::Headers& request = stream->headers();
  if (request.Get(":method") != "POST" || !IsGrpcContentType(request.Get("content-type"))) {
    // Not gRPC: the client would not understand a grpc-status.
    const char* status = request.Get(":method") == "POST" ? "415" : "405";
    (void)stream->Respond({{":status", status}}, true);
    co_return;
  }
  const std::string* timeout_text = request.Find("grpc-timeout");
  const std::optional<absl::Duration> timeout =
      timeout_text ? ParseTimeout(*timeout_text) : std::nullopt;
  ServerCall call(loop_, std::move(stream), peer, options_.message_bytes_max, timeout);
  if (timeout_text != nullptr && !timeout)
    co_return call.Finish(absl::InvalidArgumentError("broken grpc-timeout"));
  absl::Status status = co_await Dispatch(call);
  call.Finish(std::move(status));
}

Task<absl::Status> Server::Dispatch(ServerCall& call) {
  const auto method = methods_.find(call.path());
  if (method == methods_.end())
    co_return absl::UnimplementedError(absl::StrCat("unknown method ", call.path()));
  if (method->second.unary) co_return co_await CallUnary(method->second, call);
  co_return co_await method->second.stream(call);
}

Task<absl::Status> Server::CallUnary(Method& method, ServerCall& call) {
  absl::StatusOr<std::optional<std::string>> request = co_await call.Receive();
  if (!request.ok()) co_return request.status();
  if (!request->has_value()) co_return absl::InternalError("no request message in a unary call");
  absl::StatusOr<std::optional<std::string>> more = co_await call.Receive();
  if (!more.ok()) co_return more.status();
  if (more->has_value())
    co_return absl::InternalError("more than one request message in a unary call");
  absl::StatusOr<std::string> response = co_await method.unary(call, **std::move(request));
  if (!response.ok()) co_return response.status();
  co_return co_await call.Send(*response);
}

}  // namespace heddle::grpc
