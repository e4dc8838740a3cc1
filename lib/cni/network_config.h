#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/cni/error.h"
#include "lib/cni/json.h"

// The plugin's configuration: the object that a runtime writes to its stdin. Keys of our own, all optional:
//   runDir            directory of the agent, default /run/heddle (enroll.json, the STATUS latch)
//   socket            the agent's CNI socket, default <runDir>/cni.sock
//   exemptNamespaces  namespaces whose pods start although the agent is away
// Unknown keys are ignored: runtimes and conflists carry many.
namespace heddle::cni {

inline constexpr std::string_view kDefaultRunDir = "/run/heddle";
// A unix socket's address holds 108 bytes with its terminator.
inline constexpr size_t kMaxSocketPathBytes = 107;

// One entry of GC's list of what is still attached.
struct Attachment {
  std::string container_id;
  std::string ifname;
  friend bool operator==(const Attachment&, const Attachment&) = default;
};

// Views point into the text that was parsed, which must outlive them.
struct NetworkConfig {
  std::string cni_version;
  std::string network;  // "name"
  std::string run_dir{kDefaultRunDir};
  std::string socket;
  std::vector<std::string> exempt_namespaces;
  bool has_prev_result = false;
  JsonValue prev_result;
  std::vector<Attachment> valid_attachments;
};

// Code 6 for text that is not a JSON object, code 7 for a key of the wrong type or a path that cannot be used. The
// version is not judged here (CheckVersion), so that an error can name it.
CniResult<NetworkConfig> ParseNetworkConfig(std::string_view text);

}  // namespace heddle::cni
