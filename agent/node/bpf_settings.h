#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "agent/node/bpf_maps.h"

namespace heddle::agent {

// Which sockets of the agent's own netns count as probes when they connect to a captured pod.
struct ProbeRule {
  hd_probe_mode mode = HD_PROBE_NONE;
  uint64_t cgroup_id = 0;  // Of the cgroup that holds the pods (kOutside) or the kubelet (kInside);
                           // 0: there is none.
  uint32_t cgroup_level = 0;  // Its depth below the real root of cgroup2.
};

// hd_cfg, mapped: a change is one store that every hook sees at once. Thread-safe.
class BpfSettings {
 public:
  // Writes version and host netns into a new map; an existing one must have our version
  // (bpf/hd_abi.h).
  static absl::StatusOr<BpfSettings> Open(const BpfMaps& maps, uint64_t host_netns_cookie);
  BpfSettings(BpfSettings&& other) noexcept;
  BpfSettings& operator=(BpfSettings&&) = delete;
  ~BpfSettings();

  // "I am alive": to be called at least once a second. When it stays out for
  // HD_HEARTBEAT_AGE_MAX_NS the hooks apply each pod's fail mode.
  void Beat();
  // The hooks take the agent for gone at once; for an orderly end and for tests.
  void StopBeating();
  void SetProbeRule(const ProbeRule& rule);
  hd_cfg Read() const;

 private:
  explicit BpfSettings(hd_cfg* cfg) : cfg_(cfg) {}
  hd_cfg* cfg_;
};

// OK if pins at `pin_path` (of hd_cfg) do not exist or have our version.
absl::Status CheckSchemaVersion(const std::string& pin_path);

}  // namespace heddle::agent
