#include "lib/grpc/channel.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/grpc/status.h"
#include "lib/grpc/timeout.h"

namespace heddle::grpc {

Channel::Channel(io::Loop& loop, Connector connector, ChannelOptions options)
    : loop_(loop),
      connector_(std::move(connector)),
      options_(std::move(options)),
      connect_ended_(loop),
      scope_(loop) {}

Channel::~Channel() { CHECK(!connecting_); }

Task<absl::StatusOr<std::string>> Channel::Call(std::string path, std::string request,
                                                CallOptions options, StopToken stop) {
  auto opened = co_await Open(std::move(path), std::move(options), stop);
  if (!opened.ok()) co_return opened.status();
  ClientCall& call = **opened;
  // A failed Send is not the verdict: the server may have answered without reading all.
  if ((co_await call.Send(request)).ok()) (void)co_await call.HalfClose();
  std::optional<std::string> response = co_await call.Receive();
  const bool more = response && (co_await call.Receive()).has_value();
  const absl::Status status = co_await call.Finish();
  if (!status.ok()) co_return status;
  if (!response || more) {
    co_return absl::InternalError(more ? "more than one response to a unary call"
                                       : "no response to a unary call");
  }
  co_return *std::move(response);
}

Task<absl::StatusOr<std::unique_ptr<ClientCall>>> Channel::Open(std::string path,
                                                                CallOptions options,
                                                                StopToken stop) {
  const MonotonicTime began = loop_.Now();
  StopToken token = stop;
  Deadline connect_deadline(loop_, stop, options.timeout);
  auto connection = co_await Connection(connect_deadline.token());
  if (!connection.ok()) co_return connection.status();
  if (options.timeout != absl::InfiniteDuration()) options.timeout -= loop_.Now() - began;
  auto stream = (*connection)->Open(RequestHeaders(std::move(path), options));
  if (!stream)
    co_return absl::UnavailableError(
        absl::StrCat(options_.authority, ": ", stream.error().ToString()));
  co_return std::make_unique<ClientCall>(loop_, *std::move(stream), options_.message_bytes_max,
                                         options.timeout, token);
}

http::Headers Channel::RequestHeaders(std::string path, const CallOptions& options) const {
  http::Headers headers = {{":method", "POST"},        {":scheme", options_.scheme},
                           {":path", std::move(path)}, {":authority", options_.authority},
                           {"te", "trailers"},         {"content-type", "application/grpc"},
                           {"user-agent", "heddle"}};
  if (options.timeout != absl::InfiniteDuration())
    headers.Add("grpc-timeout", FormatTimeout(options.timeout));
  for (const http::Header& field : options.metadata) headers.Add(field.name, field.value);
  return headers;
}

Task<absl::StatusOr<http::H2ClientConnection*>> Channel::Connection(StopToken stop) {
  while (connecting_) {
    if (!co_await connect_ended_.Wait(stop)) {
      co_return StatusFromError(io::Error::Stopped(stop.reason(), io::Op::kConnect));
    }
  }
  if (scope_.stop().requested()) co_return absl::UnavailableError("the channel was shut down");
  if (connected()) co_return connection_;
  connecting_ = true;
  Deadline patience(loop_, stop, options_.connect_timeout);
  auto transport = co_await connector_(patience.token());
  connecting_ = false;
  connect_ended_.NotifyAll();
  if (!transport) {
    if (stop.requested())
      co_return StatusFromError(io::Error::Stopped(stop.reason(), io::Op::kConnect));
    co_return absl::UnavailableError(
        absl::StrCat("connecting to ", options_.authority, ": ", transport.error().ToString()));
  }
  if (scope_.stop().requested()) co_return absl::UnavailableError("the channel was shut down");
  auto connection =
      std::make_unique<http::H2ClientConnection>(loop_, *std::move(transport), options_.connection);
  connection_ = connection.get();
  scope_.Spawn(RunConnection(std::move(connection)));
  co_return connection_;
}

Task<void> Channel::RunConnection(std::unique_ptr<http::H2ClientConnection> connection) {
  co_await connection->Run(scope_.stop());
  if (connection_ == connection.get()) connection_ = nullptr;
}

Task<void> Channel::Shutdown() {
  if (connection_ != nullptr) {
    StopSource now;
    now.RequestStop();
    co_await connection_->Drain(now.token());
  }
  while (connecting_) co_await connect_ended_.Wait({});
  co_await scope_.Drain(options_.connection.close_timeout);
}

}  // namespace heddle::grpc
