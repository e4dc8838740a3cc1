// The client's and the server's side of a connection: who opens streams.

#include <utility>

#include "lib/http/h2_connection.h"

namespace heddle::http {

io::Result<std::unique_ptr<H2Stream>> H2ClientConnection::Open(const Headers& request, bool end) {
  if (!usable()) return std::unexpected(io::Error::Io(io::IoCode::kClosed, io::Op::kStream));
  const std::optional<StreamId> id = session_.Open(request, end);
  if (!id) return std::unexpected(io::Error::Io(io::IoCode::kLimit, io::Op::kStream));
  std::unique_ptr<H2Stream> stream = Adopt(*id, request.is_connect());
  stream->write_ended_ = end;
  Settle();
  return stream;
}

Task<io::Result<std::unique_ptr<H2Stream>>> H2ClientConnection::Request(Headers request, bool end,
                                                                        StopToken stop) {
  CO_TRY(std::unique_ptr<H2Stream> stream, Open(request, end));
  CO_TRY_VOID(co_await stream->Response(stop));
  co_return std::move(stream);
}

H2ServerConnection::H2ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> transport,
                                       const H2ConnectionOptions& options)
    : H2Connection(Role::kServer, loop, std::move(transport), options), accept_changed_(loop) {}

H2ServerConnection::~H2ServerConnection() = default;

Task<std::unique_ptr<H2Stream>> H2ServerConnection::Accept(StopToken stop) {
  while (!ended()) {
    while (!waiting_.empty()) {
      std::unique_ptr<H2Stream> stream = std::move(waiting_.front());
      waiting_.pop_front();
      if (!stream->failure()) co_return std::move(stream);
    }
    if (!co_await accept_changed_.Wait(stop)) break;
  }
  co_return nullptr;
}

void H2ServerConnection::OnRequest(StreamId id, Headers headers) {
  std::unique_ptr<H2Stream> stream = Adopt(id, headers.is_connect());
  stream->headers_ = std::move(headers);
  waiting_.push_back(std::move(stream));
  accept_changed_.NotifyOne();
}

void H2ServerConnection::OnEnded() {
  waiting_.clear();
  accept_changed_.NotifyAll();
}

}  // namespace heddle::http
