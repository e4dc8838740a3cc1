#include "lib/kube/api_client.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::kube {
namespace {

constexpr size_t kReadSize = size_t{64} * 1024;
// How often a connection that takes no more requests is looked at for having none left.
constexpr absl::Duration kRetireInterval = absl::Seconds(1);

absl::Status FromError(const io::Error& error) {
  const std::string text = absl::StrCat("the connection to the API server: ", error.ToString());
  if (error.is(io::IoCode::kDeadline)) return absl::DeadlineExceededError(text);
  if (error.is(io::IoCode::kStopped)) return absl::CancelledError(text);
  return absl::UnavailableError(text);
}

}  // namespace

ApiStream::ApiStream(io::Loop& loop, std::unique_ptr<http::H2Stream> stream, absl::Duration timeout,
                     StopToken stop)
    : deadline_(loop, stop, timeout), stream_(std::move(stream)) {}

absl::Duration ApiStream::retry_after() const {
  uint32_t seconds = 0;
  const std::string_view text = stream_->headers().Get("retry-after");
  return absl::SimpleAtoi(ToAbsl(text), &seconds) ? absl::Seconds(seconds) : absl::ZeroDuration();
}

Task<absl::StatusOr<io::Buffer>> ApiStream::Read() {
  auto read = co_await stream_->Read(kReadSize, deadline_.token());
  if (!read) co_return FromError(read.error());
  co_return *std::move(read);
}

Task<absl::StatusOr<std::string>> ApiStream::ReadAll(size_t bytes_max) {
  std::string body;
  while (true) {
    CO_TRY_ASSIGN(const io::Buffer read, co_await Read());
    if (read.empty()) co_return body;
    if (read.size() > bytes_max - body.size())
      co_return absl::ResourceExhaustedError(
          absl::StrCat("the API server's answer is longer than ", bytes_max, " bytes"));
    body.append(reinterpret_cast<const char*>(read.data()), read.size());
  }
}

ApiClient::ApiClient(io::Loop& loop, Connector connector, BearerToken token,
                     ApiClientOptions options)
    : loop_(loop),
      connector_(std::move(connector)),
      token_(std::move(token)),
      options_(std::move(options)),
      connect_ended_(loop),
      connection_made_(loop),
      scope_(loop) {}

ApiClient::~ApiClient() { CHECK(!connecting_); }

Task<absl::StatusOr<ApiAnswer>> ApiClient::Call(ApiRequest request, StopToken stop) {
  CO_TRY_ASSIGN(const std::unique_ptr<ApiStream> stream,
                co_await Open(std::move(request), options_.call_timeout, stop));
  ApiAnswer answer{.status = stream->status(), .retry_after = stream->retry_after()};
  CO_TRY_ASSIGN(answer.body, co_await stream->ReadAll(options_.body_bytes_max));
  co_return answer;
}

Task<absl::StatusOr<std::unique_ptr<ApiStream>>> ApiClient::Open(ApiRequest request,
                                                                 absl::Duration timeout,
                                                                 StopToken stop) {
  const MonotonicTime began = loop_.Now();
  Deadline patience(loop_, stop, std::min(timeout, options_.call_timeout));
  CO_TRY_ASSIGN(http::H2ClientConnection * connection, co_await Connection(patience.token()));
  CO_TRY_ASSIGN(std::unique_ptr<http::H2Stream> stream,
                co_await Send(*connection, request, patience.token()));
  const auto response = co_await stream->Response(patience.token());
  if (!response) co_return FromError(response.error());
  if ((*response)->status() == 401) OnUnauthorized(connection);
  const absl::Duration left =
      timeout == absl::InfiniteDuration() ? timeout : timeout - (loop_.Now() - began);
  co_return std::make_unique<ApiStream>(loop_, std::move(stream), left, stop);
}

Task<absl::StatusOr<std::unique_ptr<http::H2Stream>>> ApiClient::Send(
    http::H2ClientConnection& connection, const ApiRequest& request, StopToken stop) {
  CO_TRY_ASSIGN(const http::Headers headers, RequestHeaders(request));
  auto stream = connection.Open(headers, request.body.empty());
  if (!stream) co_return FromError(stream.error());
  if (request.body.empty()) co_return *std::move(stream);
  const std::span bytes(reinterpret_cast<const uint8_t*>(request.body.data()), request.body.size());
  // A failed write is not the verdict: the server may have answered without reading all.
  const auto written = co_await (*stream)->Write(bytes, stop);
  if (!written && written.error().stopped()) co_return FromError(written.error());
  if (written) (void)co_await (*stream)->ShutdownWrite(stop);
  co_return *std::move(stream);
}

absl::StatusOr<http::Headers> ApiClient::RequestHeaders(const ApiRequest& request) {
  http::Headers headers = {{":method", request.method},
                           {":scheme", "https"},
                           {":path", options_.path_prefix + request.path},
                           {":authority", options_.authority},
                           {"accept", request.accept},
                           {"user-agent", options_.user_agent}};
  TRY_ASSIGN(const std::string token, token_.Get(loop_.Now()));
  if (!token.empty()) headers.Add("authorization", absl::StrCat("Bearer ", token));
  if (!request.body.empty()) {
    headers.Add("content-type", request.content_type);
    headers.Add("content-length", absl::StrCat(request.body.size()));
  }
  return headers;
}

Task<absl::StatusOr<http::H2ClientConnection*>> ApiClient::Connection(StopToken stop) {
  while (connecting_) {
    if (!co_await connect_ended_.Wait(stop))
      co_return FromError(io::Error::Stopped(stop.reason(), io::Op::kConnect));
  }
  if (scope_.stop().requested()) co_return absl::CancelledError("the client was shut down");
  if (connected()) co_return connection_;
  connecting_ = true;
  Deadline patience(loop_, stop, options_.connect_timeout);
  auto transport = co_await connector_(patience.token());
  connecting_ = false;
  connect_ended_.NotifyAll();
  if (!transport.ok())
    co_return Annotate(transport.status(), "connecting to the API server ", options_.authority);
  if (scope_.stop().requested()) co_return absl::CancelledError("the client was shut down");
  ++connects_total_;
  auto connection =
      std::make_unique<http::H2ClientConnection>(loop_, *std::move(transport), options_.connection);
  connection_ = connection.get();
  running_.insert(connection_);
  connection_made_.NotifyAll();
  scope_.Spawn(RunConnection(std::move(connection)));
  co_return connection_;
}

Task<bool> ApiClient::AwaitConnection(absl::Duration patience, StopToken stop) {
  Deadline over(loop_, stop, patience);
  if (!connected()) (void)co_await connection_made_.Wait(over.token());
  co_return !stop.requested();
}

Task<void> ApiClient::RunConnection(std::unique_ptr<http::H2ClientConnection> connection) {
  co_await connection->Run(scope_.stop());
  if (connection_ == connection.get()) connection_ = nullptr;
  running_.erase(connection.get());
}

// What runs on the connection goes on; the next request makes another one, with other certificates
// if they were replaced. Of many requests that are refused at once, the first does this.
void ApiClient::OnUnauthorized(http::H2ClientConnection* connection) {
  if (connection_ != connection) return;
  token_.Forget();
  connection_ = nullptr;
  scope_.Spawn(Retire(connection));
}

Task<void> ApiClient::Retire(http::H2ClientConnection* connection) {
  while (co_await loop_.Sleep(kRetireInterval, scope_.stop()) && running_.contains(connection)) {
    if (connection->active_streams() > 0) continue;
    connection->Close(http::ErrorCode::kNoError, "retired");
    co_return;
  }
}

Task<void> ApiClient::Shutdown() {
  StopSource now;
  now.RequestStop();
  for (http::H2ClientConnection* connection : std::set(running_))
    co_await connection->Drain(now.token());
  while (connecting_) co_await connect_ended_.Wait({});
  co_await scope_.Drain(options_.connection.close_timeout);
}

absl::Status StatusOf(const ApiRequest& request, const ApiAnswer& answer) {
  const ApiStatus status = ReadApiStatus(answer.status, answer.body);
  const std::string text =
      absl::StrCat("the API server answers ", status.code, status.reason.empty() ? "" : " ",
                   status.reason, " to ", request.method, " ", request.path,
                   status.message.empty() ? "" : ": ", status.message);
  switch (status.code) {
    case 401: return absl::UnauthenticatedError(text);
    case 403: return absl::PermissionDeniedError(text);
    case 404: return absl::NotFoundError(text);
    case 409: return absl::AbortedError(text);
    case 422: return absl::InvalidArgumentError(text);
    default: return absl::UnavailableError(text);
  }
}

}  // namespace heddle::kube
