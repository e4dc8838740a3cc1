#pragma once

#include <string>
#include <string_view>

#include "lib/http/headers.h"

namespace heddle::grpc {

// A call's own header fields, lower case: {"authorization", "Bearer ..."}.
using Metadata = http::Headers;

// Who is at the other end, as far as whoever accepted the connection knows.
struct Peer {
  std::string address;
  std::string identity;  // From the peer's certificate; empty without one.
};

// True for "application/grpc", also with "+proto" or parameters behind.
bool IsGrpcContentType(std::string_view content_type);

}  // namespace heddle::grpc
