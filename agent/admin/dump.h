#pragma once

#include <string>
#include <vector>

#include "agent/model/state.h"
#include "agent/node/pod_registry.h"
#include "agent/seams/certificates.h"

// What the admin port shows, as JSON. /config_dump has the shape of ztunnel's (ambient-wire.md
// section 7.6), so that existing tools read it. Pure functions over what the control loop holds.
namespace heddle::agent {

// One connection that is being served.
struct ConnectionDump {
  std::string pod_uid;
  std::string kind;  // "outbound", "inbound_hbone", "inbound_plaintext".
  std::string source;
  std::string original_destination;
  std::string actual_destination;
  std::string peer_identity;  // From the peer's certificate; empty without one.
};

// What of the process is not in the other parts.
struct AgentStatus {
  std::string node_name;
  std::string version;
  std::string backend;                  // Of the workers' event loops.
  std::string backend_fallback_reason;  // Why it is not io_uring.
  size_t workers = 0;
  bool ready = false;
  std::string not_ready_because;
  bool controller_connected = false;
  std::string controller_error;  // Of the last attempt that failed.
  bool gone = false;  // The mesh has left this node: nothing is captured, no program attached.
  uint64_t state_generation = 0;
};

std::string ConfigDumpJson(const State& state, const Certificates& certificates,
                           const std::vector<PodStatus>& pods,
                           const std::vector<ConnectionDump>& connections,
                           const std::string& config_json, absl::Time now);
std::string PodsJson(const std::vector<PodStatus>& pods,
                     const std::vector<UncapturedPod>& uncaptured);
std::string ConnectionsJson(const std::vector<ConnectionDump>& connections);
std::string PoliciesJson(const State& state);
std::string CertificatesJson(const Certificates& certificates, absl::Time now);
std::string StatusJson(const AgentStatus& status, const std::vector<PodStatus>& pods,
                       const std::vector<UncapturedPod>& uncaptured);

}  // namespace heddle::agent
