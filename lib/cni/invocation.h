#pragma once

#include <string>
#include <string_view>

#include "lib/cni/error.h"
#include "lib/cni/version.h"

// What a container runtime passes by environment (CNI specification 1.1.0, "Parameters").
namespace heddle::cni {

// Lengths that the runtime's own rules imply, with room: container ids are 64 hex digits, Kubernetes names at most 253.
inline constexpr size_t kMaxContainerIdBytes = 256;
inline constexpr size_t kMaxNameBytes = 253;
inline constexpr size_t kMaxPathBytes = 4095;
inline constexpr size_t kMaxInterfaceNameBytes = 15;  // IFNAMSIZ - 1.

// The raw variables; an absent one is empty.
struct Environment {
  std::string command;
  std::string container_id;
  std::string netns;
  std::string ifname;
  std::string args;
  std::string path;
};

// Who is being connected, from CNI_ARGS; each may be empty when the runtime is not a Kubernetes one.
struct PodReference {
  std::string pod_namespace;
  std::string name;
  std::string uid;
  friend bool operator==(const PodReference&, const PodReference&) = default;
};

struct Invocation {
  Command command = Command::kVersion;
  std::string container_id;
  std::string netns;  // A path; may be empty for DEL.
  std::string ifname;
  PodReference pod;
  friend bool operator==(const Invocation&, const Invocation&) = default;
};

// Checks presence and form of what the command needs: ADD and CHECK all of container id, netns and ifname; DEL
// container id and ifname; GC a path; STATUS and VERSION nothing. Code 4 names the variable.
CniResult<Invocation> ParseInvocation(const Environment& environment);

// "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;..." in any order; other keys are ignored, as every runtime sends some.
CniResult<PodReference> ParseArgs(std::string_view args);

// The forms that the specification prescribes; shared with the agent, which trusts no message.
bool IsContainerId(std::string_view text);
bool IsInterfaceName(std::string_view text);
// A Kubernetes namespace or pod name: DNS-1123 subdomain.
bool IsObjectName(std::string_view text);
// A pod's UID: what the API server issues is a UUID, static pods have 32 hex digits; letters, digits and '-'.
bool IsPodUid(std::string_view text);

}  // namespace heddle::cni
