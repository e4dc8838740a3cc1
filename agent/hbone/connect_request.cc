#include "agent/hbone/connect_request.h"

namespace heddle::agent {

Result<ConnectRequest, FailureReason> ReadConnectRequest(const http::Headers& headers) {
  if (!headers.is_connect() || headers.Find(":scheme") != nullptr ||
      headers.Find(":path") != nullptr || headers.Count(":authority") != 1) {
    return std::unexpected(FailureReason::kBadRequest);
  }
  auto authority = ParseAuthority(headers.Get(":authority"));
  if (!authority) return std::unexpected(FailureReason::kBadRequest);
  ConnectRequest request{.authority = *std::move(authority)};
  for (const http::Header& header : headers) {
    if (header.name == "baggage") MergeBaggage(header.value, request.claims.source);
  }
  request.claims.service_host = ForwardedHost(headers.Get("forwarded"));
  if (IsTraceparent(headers.Get("traceparent")))
    request.claims.traceparent = headers.Get("traceparent");
  return request;
}

http::Headers MakeConnectRequest(const Authority& authority, const ConnectClaims& claims,
                                 const io::SocketAddress& source) {
  http::Headers headers{{":method", "CONNECT"}, {":authority", ToString(authority)}};
  std::string baggage = EncodeBaggage(claims.source);
  if (!baggage.empty()) headers.Add("baggage", std::move(baggage));
  headers.Add("forwarded", EncodeForwarded(source, claims.service_host));
  if (!claims.traceparent.empty()) headers.Add("traceparent", claims.traceparent);
  return headers;
}

}  // namespace heddle::agent
