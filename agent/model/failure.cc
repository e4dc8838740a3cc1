#include "agent/model/failure.h"

#include <array>

#include "lib/base/check.h"

namespace heddle::agent {
namespace {

struct Row {
  FailureReason reason;
  FailureText text;
};

using enum FailureReason;

constexpr Row kRows[] = {
    {kNoOriginalDestination,
     {"no_orig_dst", "-", 503, "no original destination is recorded for this connection"}},
    {kMeshPort, {"mesh_port", "-", 503, "the destination is one of the mesh's own ports"}},
    {kConnectionLimit,
     {"connection_limit", "-", 503, "the proxy serves as many connections as it may"}},
    {kHandshakeLimit,
     {"handshake_limit", "TLS_FAILURE", 503, "too many TLS handshakes are under way"}},
    {kSourceHandshakeLimit,
     {"source_handshake_limit", "TLS_FAILURE", 503,
      "too many TLS handshakes from this address are under way"}},
    {kWaiterLimit,
     {"waiter_limit", "-", 503, "too many connections wait for state or certificates"}},
    {kStateTimeout,
     {"state_timeout", "-", 503, "the control plane has not sent this pod's workload"}},
    {kCertificateTimeout,
     {"certificate_timeout", "IDENTITY_ERROR", 503,
      "there is no valid certificate for the identity of this pod"}},
    {kPolicyDenied, {"policy_denied", "DENY", 401, "connection closed due to policy rejection"}},
    {kPolicyChanged, {"policy_changed", "DENY", 401, "connection closed due to policy change"}},
    {kNoUpstream, {"no_upstream", "CONNECT", 503, "the service has no healthy upstream"}},
    {kNotSupported,
     {"not_supported", "CONNECT", 503,
      "the next hop needs a feature that this proxy does not have"}},
    {kBadRequest, {"bad_request", "-", 400, "the request is no CONNECT with a readable authority"}},
    {kWrongAuthority, {"wrong_authority", "-", 400, "the authority is not an address of this pod"}},
    {kUnknownService, {"unknown_service", "-", 503, "the authority names no service of this pod"}},
    {kDialFailed, {"dial_failed", "CONNECT", 503, "the connection to the next hop failed"}},
    {kDialTimeout, {"dial_timeout", "CONNECT", 503, "the connection to the next hop timed out"}},
    {kTlsFailed, {"tls_failed", "TLS_FAILURE", 503, "the TLS handshake failed"}},
    {kTlsTimeout, {"tls_timeout", "TLS_FAILURE", 503, "the TLS handshake timed out"}},
    {kHttp2Failed, {"http2_failed", "H2_HANDSHAKE_FAILURE", 503, "the peer does not speak HTTP/2"}},
    {kTunnelRefused, {"tunnel_refused", "CONNECT", 503, "the peer refused the request"}},
    {kTunnelLimit, {"tunnel_limit", "CONNECT", 503, "the pod has as many tunnels as it may"}},
    {kStreamRefused, {"stream_refused", "CONNECT", 503, "the peer takes no more streams"}},
    {kTunnelLost, {"tunnel_lost", "-", 503, "the tunnel broke"}},
    {kConnectionFailed, {"connection_failed", "-", 503, "the connection broke"}},
    {kPodReleased, {"pod_released", "-", 503, "the pod is gone"}},
    {kDrained, {"drained", "-", 503, "connection closed from drain"}},
    {kOutOfMemory, {"out_of_memory", "-", 503, "the limit on buffer memory was reached"}},
};

constexpr bool RowsAreInOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kRows[i].reason != static_cast<FailureReason>(i)) return false;
  }
  return std::size(kRows) == static_cast<size_t>(kCount);
}
static_assert(RowsAreInOrder());

}  // namespace

const FailureText& TextOf(FailureReason reason) {
  CHECK(reason < kCount);
  return kRows[static_cast<size_t>(reason)].text;
}

const FailureText& Failure::text() const { return TextOf(reason); }

}  // namespace heddle::agent
