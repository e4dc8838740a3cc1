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
      client_(loop, [this](StopToken stop) { return Dial(stop); },
              {.server = options_.authority,
               .connect_timeout = options_.connect_timeout,
               .connection = options_.connection}) {}

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
  auto connection = co_await client_.Connection(connect_deadline.token());
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

Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Channel::Dial(StopToken stop) {
  auto transport = co_await connector_(stop);
  if (!transport) co_return absl::UnavailableError(transport.error().ToString());
  co_return *std::move(transport);
}

}  // namespace heddle::grpc
