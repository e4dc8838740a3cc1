#include "lib/kube/api_client.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::kube {
namespace {

constexpr size_t kReadSize = size_t{64} * 1024;

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
      token_(std::move(token)),
      options_(std::move(options)),
      client_(loop, std::move(connector),
              {.server = absl::StrCat("the API server ", options_.authority),
               .connect_timeout = options_.connect_timeout,
               .connection = options_.connection}) {}

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
  CO_TRY_ASSIGN(http::H2ClientConnection * connection, co_await client_.Connection(patience.token()));
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

// Of many requests that are refused at once, the first does this; the next connection has other
// certificates if they were replaced.
void ApiClient::OnUnauthorized(http::H2ClientConnection* connection) {
  token_.Forget();
  client_.Retire(connection);
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
