#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/model/state.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

// Who may connect to a workload (ambient-wire.md section 5). Pure functions of state and facts; no allocation.
//
// The order: a DENY policy that matches denies; then any policy that is referenced but unknown, or was refused and
// never was good, denies; then, if an ALLOW policy selects the workload, one of them must match. Policies of the
// mesh, of the workload's namespace, and those the workload names are one set. Dry-run policies decide nothing.
//
// Where ztunnel fails open this is closed: a referenced policy that is not known denies (ztunnel skips it), and so
// does a state that is not complete yet. Entries that cannot be read never get here: their policy was refused as a
// whole.
namespace heddle::agent {

// What is known of a connection when it is judged. The addresses are those of the wire; the port is the application's.
struct ConnectionFacts {
  io::IpAddress source;
  io::IpAddress destination;
  uint16_t destination_port = 0;
  const tls::SpiffeId* identity = nullptr;  // From the peer's verified certificate; nullptr: plaintext.
};

enum class VerdictReason : uint8_t {
  kNoAllowPolicy,    // Allowed: no ALLOW policy selects the workload.
  kAllowMatched,     // Allowed by `policy`.
  kDenyMatched,      // Denied by `policy`.
  kNoAllowMatched,   // Denied: ALLOW policies select the workload, none of them matches.
  kPolicyUnknown,    // Denied: the workload refers to `policy`, which is not known.
  kPolicyRefused,    // Denied: `policy` was refused and never was good.
  kStateNotReady,    // Denied: the control plane's state is not complete yet.
  kWorkloadUnknown,  // Denied: the control plane does not know the destination.
};

std::string_view ToString(VerdictReason reason);

struct Verdict {
  bool allowed = false;
  VerdictReason reason = VerdictReason::kStateNotReady;
  std::string_view policy;  // "namespace/name", where the reason has one. Lives as long as the state and the workload.
};

// `destination` is the local workload; nullptr: unknown.
Verdict Decide(const State& state, const Workload* destination, const ConnectionFacts& facts);

// True if every plaintext connection to the workload would be denied, whatever its source, and so it can be refused
// before anything is accepted; on that port, or without a port on all ports. False means no more than "must be
// decided one by one".
bool DeniesAllPlaintext(const State& state, const Workload* destination,
                        std::optional<uint16_t> port = std::nullopt);

}  // namespace heddle::agent
