#include "lib/http/http1_server.h"

#include <absl/strings/str_cat.h>

namespace heddle::http {
namespace {

// An answer larger than this is refused by our own client: a dump of a very large mesh has some
// tens of MiB.
constexpr size_t kAnswerBytesMax = 512u << 20;
// What answers under way get when the server stops.
constexpr absl::Duration kDrainGrace = absl::Seconds(1);

Unexpected<Http1Error> Lost(const io::Error& error) {
  return std::unexpected(Http1Error{502, error.ToString()});
}

// Reads until `want` says that the bytes suffice. False at the end of the stream or on an error.
Task<bool> ReadUntil(io::Stream& stream, std::string& bytes, size_t limit,
                     absl::FunctionRef<bool()> enough, StopToken stop) {
  while (!enough()) {
    if (bytes.size() > limit) co_return false;
    auto got = co_await stream.Read(io::BufferPool::kSmall, stop);
    if (!got || got->empty()) co_return false;
    bytes.append(reinterpret_cast<const char*>(got->data()), got->size());
  }
  co_return true;
}

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Task<Result<Http1Request, Http1Error>> ReadRequest(io::Stream& stream, size_t body_bytes_max,
                                                   StopToken stop) {
  std::string bytes;
  const auto has_head = [&bytes] { return FindHttp1HeadEnd(bytes).has_value(); };
  const bool complete = co_await ReadUntil(stream, bytes, kHttp1HeadBytesMax, has_head, stop);
  if (!complete) {
    const bool too_long = bytes.size() > kHttp1HeadBytesMax;
    co_return std::unexpected(too_long ? Http1Error{431, "header fields too large"}
                                       : Http1Error{400, "incomplete request"});
  }
  const size_t head_size = *FindHttp1HeadEnd(bytes);
  CO_TRY(Http1Request request, ParseHttp1RequestHead(std::string_view(bytes).substr(0, head_size)));
  if (request.content_length > body_bytes_max)
    co_return std::unexpected(Http1Error{413, "body too large"});
  const size_t total = head_size + request.content_length;
  const auto has_body = [&bytes, total] { return bytes.size() >= total; };
  const bool whole = co_await ReadUntil(stream, bytes, total, has_body, stop);
  if (!whole || bytes.size() > total)
    co_return std::unexpected(Http1Error{400, "body of the wrong length"});
  request.body = bytes.substr(head_size);
  co_return request;
}

}  // namespace

Http1Server::Http1Server(io::Loop& loop, Http1Handler handler, const Http1ServerLimits& limits)
    : loop_(loop), handler_(std::move(handler)), limits_(limits) {}

Task<void> Http1Server::Run(std::unique_ptr<io::Listener> listener, StopToken stop) {
  Scope scope(loop_, stop);
  while (true) {
    auto accepted = co_await listener->Accept(stop);
    if (!accepted) break;
    Accept((*accepted)->Attach(loop_), scope);
  }
  co_await scope.Drain(kDrainGrace);
}

Task<void> Http1Server::Run(std::unique_ptr<io::UnixListener> listener, StopToken stop) {
  Scope scope(loop_, stop);
  while (true) {
    auto accepted = co_await listener->Accept(stop);
    if (!accepted) break;
    Accept(io::MakeConnection(loop_, *std::move(accepted)), scope);
  }
  co_await scope.Drain(kDrainGrace);
}

void Http1Server::Accept(std::unique_ptr<io::Connection> connection, Scope& scope) {
  if (connections_ >= limits_.connections_max) {
    connection->Reset();
    return;
  }
  scope.Spawn(Serve(std::move(connection), scope.stop()));
}

Task<void> Http1Server::Serve(std::unique_ptr<io::Connection> connection, StopToken stop) {
  ++connections_;
  Deadline deadline(loop_, stop, limits_.request_timeout);
  co_await Answer(*connection, deadline.token());
  --connections_;
}

Task<void> Http1Server::Answer(io::Connection& connection, StopToken stop) {
  auto request = co_await ReadRequest(connection, limits_.body_bytes_max, stop);
  Http1Response response;
  if (request) {
    response = co_await handler_(*std::move(request));
  } else {
    response.status = request.error().status;
    response.body = absl::StrCat(request.error().reason, "\n");
  }
  const std::string text = SerializeHttp1Response(response);
  const auto written = co_await connection.Write(AsBytes(text), stop);
  if (!written) co_return;
  const auto ended = co_await connection.ShutdownWrite(stop);
  if (!ended) co_return;
  // Closing with unread bytes would reset the connection before the peer has read the answer.
  while (true) {
    const auto rest = co_await connection.Read(io::BufferPool::kSmall, stop);
    if (!rest || rest->empty()) co_return;
  }
}

Task<Result<Http1Response, Http1Error>> Http1Call(io::Stream& stream, Http1Request request,
                                                  StopToken stop) {
  const std::string text = SerializeHttp1Request(request, "localhost");
  const auto written = co_await stream.Write(AsBytes(text), stop);
  if (!written) co_return Lost(written.error());
  std::string bytes;
  while (true) {
    const auto got = co_await stream.Read(io::BufferPool::kBulk, stop);
    if (!got) co_return Lost(got.error());
    if (got->empty()) break;
    bytes.append(reinterpret_cast<const char*>(got->data()), got->size());
    if (bytes.size() > kAnswerBytesMax)
      co_return std::unexpected(Http1Error{502, "the answer is too large"});
  }
  co_return ParseHttp1Response(bytes);
}

}  // namespace heddle::http
