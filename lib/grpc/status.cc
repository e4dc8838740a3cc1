#include "lib/grpc/status.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "lib/base/strings.h"
#include "lib/http/error_code.h"

namespace heddle::grpc {
namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

bool IsPlain(char c) { return c >= ' ' && c <= '~' && c != '%'; }

int HexValue(char c) {
  const size_t found = kHexDigits.find(absl::ascii_toupper(static_cast<unsigned char>(c)));
  return found == std::string_view::npos ? -1 : static_cast<int>(found);
}

absl::StatusCode CodeOf(http::ErrorCode reset) {
  switch (reset) {
    case http::ErrorCode::kRefusedStream: return absl::StatusCode::kUnavailable;
    case http::ErrorCode::kCancel: return absl::StatusCode::kCancelled;
    case http::ErrorCode::kEnhanceYourCalm: return absl::StatusCode::kResourceExhausted;
    case http::ErrorCode::kInadequateSecurity: return absl::StatusCode::kPermissionDenied;
    default: return absl::StatusCode::kInternal;
  }
}

}  // namespace

std::string EncodeMessage(std::string_view message) {
  std::string encoded;
  for (const char c : message) {
    if (IsPlain(c)) {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    encoded += {'%', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
  }
  return encoded;
}

std::string DecodeMessage(std::string_view encoded) {
  std::string message;
  for (size_t i = 0; i < encoded.size(); ++i) {
    const int high = encoded[i] == '%' && i + 2 < encoded.size() ? HexValue(encoded[i + 1]) : -1;
    const int low = high >= 0 ? HexValue(encoded[i + 2]) : -1;
    if (low < 0) {
      message.push_back(encoded[i]);
      continue;
    }
    message.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return message;
}

absl::Status StatusFromTrailers(const http::Headers& trailers) {
  const std::string* text = trailers.Find("grpc-status");
  if (text == nullptr) return absl::UnknownError("the server ended the call without a grpc-status");
  constexpr uint32_t kCodeMax = static_cast<uint32_t>(absl::StatusCode::kUnauthenticated);
  uint32_t code = 0;
  if (!absl::SimpleAtoi(*text, &code) || code > kCodeMax) {
    return absl::UnknownError(absl::StrCat("the server sent grpc-status '", *text, "'"));
  }
  if (code == 0) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(code),
                      DecodeMessage(trailers.Get("grpc-message")));
}

void AppendStatus(const absl::Status& status, http::Headers& trailers) {
  trailers.Add("grpc-status", std::to_string(status.raw_code()));
  if (!status.message().empty())
    trailers.Add("grpc-message", EncodeMessage(ToStd(status.message())));
}

absl::Status StatusFromHttp(int http_status) {
  const std::string message = absl::StrCat("the server answered with HTTP status ", http_status);
  switch (http_status) {
    case 400: return absl::InternalError(message);
    case 401: return absl::UnauthenticatedError(message);
    case 403: return absl::PermissionDeniedError(message);
    case 404: return absl::UnimplementedError(message);
    case 429:
    case 502:
    case 503:
    case 504: return absl::UnavailableError(message);
    default: return absl::UnknownError(message);
  }
}

absl::Status StatusFromError(const io::Error& error) {
  if (error.is(io::IoCode::kDeadline)) return absl::DeadlineExceededError("deadline exceeded");
  if (error.is(io::IoCode::kStopped)) return absl::CancelledError("cancelled");
  if (error.domain == io::ErrorDomain::kHttp2) {
    const auto code = static_cast<http::ErrorCode>(error.code);
    return absl::Status(CodeOf(code), absl::StrCat("stream reset: ", ToAbsl(ToString(code))));
  }
  return absl::UnavailableError(error.ToString());
}

}  // namespace heddle::grpc
