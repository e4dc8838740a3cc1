#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace heddle::agent {

// Why a connection was not served to its end.
enum class FailureReason : uint8_t {
  // Before anything was decided.
  kNoOriginalDestination,  // Nobody recorded where the application wanted to go.
  kMeshPort,               // The destination is one of our own ports.
  kConnectionLimit,        // The process serves as many connections as it may.
  kHandshakeLimit,         // As many TLS handshakes as may be under way; the oldest makes room.
  kSourceHandshakeLimit,   // As many of one source address.
  kWaiterLimit,            // Too many connections wait for state already.
  kStateTimeout,           // No workload record for the pod within the time to wait.
  kCertificateTimeout,     // No valid certificate for the pod's identity within that time.
  // Decisions.
  kPolicyDenied,
  kPolicyChanged,  // Was allowed, is not any more.
  kNoUpstream,     // The service has no endpoint that may be used.
  // The next hop needs what this proxy does not do (yet); never served in another way.
  kNotSupported,
  // What peers did.
  kBadRequest,      // No CONNECT, or no authority that can be read.
  kWrongAuthority,  // An authority that is not this pod.
  kUnknownService,  // A host name in an authority that leads nowhere.
  kDialFailed,      // The next hop's or the application's host refused or is unreachable.
  kDialTimeout,
  kTlsFailed,  // Handshake: protocol, chain or identity.
  kTlsTimeout,
  kHttp2Failed,       // The peer does not speak HTTP/2 as it must.
  kTunnelRefused,     // The peer answered the CONNECT request with another status than 200.
  kTunnelLimit,       // As many tunnels as a pod may have.
  kStreamRefused,     // The peer took no more streams (GOAWAY, REFUSED_STREAM).
  kTunnelLost,        // The tunnel broke under the connection.
  kConnectionFailed,  // The connection broke in a way that is no application's normal end.
  // Ours.
  kPodReleased,
  kDrained,
  kOutOfMemory,  // A buffer limit was reached.
  kCount,
};

// Which end of the connection it happened on.
enum class FailureSide : uint8_t { kNone, kDownstream, kUpstream };

// What a failure is called everywhere: one table for log lines, metrics and answers.
struct FailureText {
  std::string_view label;     // Of our own metrics: "policy_denied".
  std::string_view flag;      // response_flags of Istio's metrics (ambient-wire.md section 7.3).
  int status;                 // The answer to a CONNECT request (section 1.10).
  std::string_view sentence;  // For the access log.
};

// Whose fault the end of a connection is, whether trying again can help, and what to call it. A
// value.
struct Failure {
  FailureReason reason;
  FailureSide side = FailureSide::kNone;
  // True when the peer has not looked at the request, so that it may be sent once more on another
  // tunnel.
  bool retryable = false;

  const FailureText& text() const;
  bool operator==(const Failure&) const = default;
};

const FailureText& TextOf(FailureReason reason);

}  // namespace heddle::agent
