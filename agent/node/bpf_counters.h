#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/node/bpf_maps.h"

namespace heddle::agent {

// The name of a counter for metrics and events: "connect_redirected".
std::string_view StatName(hd_stat stat);

struct MapFill {
  uint32_t entries = 0;
  uint32_t entries_max = 0;
};

// What the hooks counted. Thread-safe; sums over the CPUs, so a reading is not one moment's.
class BpfCounters {
 public:
  // `maps` is kept longer than this.
  explicit BpfCounters(const BpfMaps& maps) : maps_(maps) {}

  uint64_t Read(hd_stat stat) const;
  std::array<uint64_t, HD_STAT_COUNT> ReadAll() const;
  // Empty: there is no such pod.
  std::optional<hd_pod_stats> ReadPod(uint64_t netns_cookie) const;
  // How full a hash is. Walks it: about a microsecond for each entry. Empty: the map's type has no
  // entries to count.
  std::optional<MapFill> Fill(MapId id) const;

 private:
  const BpfMaps& maps_;
};

}  // namespace heddle::agent
