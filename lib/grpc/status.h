#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

#include "lib/http/headers.h"
#include "lib/io/error.h"

namespace heddle::grpc {

// gRPC's status codes have the numbers and meanings of absl::StatusCode: an absl::Status is a gRPC
// status.

// grpc-message: percent-encoded UTF-8 (gRPC over HTTP/2, "Responses"). Decoding never fails: broken
// escapes stay as they are.
std::string EncodeMessage(std::string_view message);
std::string DecodeMessage(std::string_view encoded);

// The status in trailers (or in the headers of a response without body): grpc-status and
// grpc-message. A missing or broken grpc-status is UNKNOWN.
absl::Status StatusFromTrailers(const http::Headers& trailers);
void AppendStatus(const absl::Status& status, http::Headers& trailers);

// What a response with an HTTP status other than 200 means when it carries no grpc-status.
absl::Status StatusFromHttp(int http_status);

// What the loss of a stream means to a call: a reset by its code (gRPC over HTTP/2, "HTTP2
// Transport Mapping"), our stop is CANCELLED or DEADLINE_EXCEEDED, all else is UNAVAILABLE.
absl::Status StatusFromError(const io::Error& error);

}  // namespace heddle::grpc
