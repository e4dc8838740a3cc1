#pragma once

#include <string>
#include <string_view>

#include "agent/hbone/authority.h"
#include "agent/hbone/headers.h"
#include "agent/model/failure.h"
#include "lib/base/result.h"
#include "lib/http/headers.h"

namespace heddle::agent {

// What a CONNECT request says beside its authority: claims, for telemetry only (headers.h).
struct ConnectClaims {
  Baggage source;
  std::string service_host;  // The service that the client meant; empty: not said.
  std::string traceparent;   // Empty: none, or not one that can be adopted.
  bool operator==(const ConnectClaims&) const = default;
};

struct ConnectRequest {
  Authority authority;
  ConnectClaims claims;
};

// Reads the headers of a request on an HBONE tunnel (RFC 9113 section 8.5: method CONNECT, an
// authority, neither scheme nor path). Otherwise kBadRequest. Malformed claims are ignored.
Result<ConnectRequest, FailureReason> ReadConnectRequest(const http::Headers& headers);

// The headers of our own request, in the order in which Istio's node proxy sends them. `source` is
// the application's address.
http::Headers MakeConnectRequest(const Authority& authority, const ConnectClaims& claims,
                                 const io::SocketAddress& source);

}  // namespace heddle::agent
