#include "agent/node/bpf_counters.h"

#include <bpf/bpf.h>

#include <numeric>
#include <vector>

#include "lib/base/check.h"

namespace heddle::agent {
namespace {

constexpr std::array<std::string_view, HD_STAT_COUNT> kStatNames = {
    "connect_redirected",  "connect_local",       "connect_excluded",
    "connect_proxy",       "connect_probe",       "connect_open",
    "connect_released",    "connect_agent_stale", "connect_no_listener",
    "connect_no_address",  "connect_no_storage",  "origdst_full",
    "origdst_busy",        "bypass_full",         "bind_refused",
    "inbound_selected",    "inbound_local",       "inbound_hbone",
    "inbound_bypass",      "inbound_excluded",    "inbound_open",
    "inbound_released",    "inbound_mesh_port",   "inbound_refused",
    "inbound_agent_stale", "inbound_no_listener", "inbound_no_pod",
    "leak_dropped",        "leak_malformed",      "syn_held",
    "socket_refused",      "events_lost",         "events_limited",
};
static_assert(!kStatNames.back().empty(), "every counter has a name");

uint32_t CountKeys(int fd, uint32_t key_size, uint32_t entries_max) {
  std::vector<char> key(key_size);
  std::vector<char> next(key_size);
  uint32_t count = 0;
  int found = bpf_map_get_next_key(fd, nullptr, next.data());
  for (; found == 0 && count < entries_max; ++count) {
    key.swap(next);
    found = bpf_map_get_next_key(fd, key.data(), next.data());
  }
  return count;
}

}  // namespace

std::string_view StatName(hd_stat stat) {
  return stat < HD_STAT_COUNT ? kStatNames[static_cast<size_t>(stat)] : std::string_view("unknown");
}

uint64_t BpfCounters::Read(hd_stat stat) const {
  CHECK(stat < HD_STAT_COUNT);
  const auto values = maps_.FindPerCpu<uint64_t>(MapId::kStats, static_cast<uint32_t>(stat));
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

std::array<uint64_t, HD_STAT_COUNT> BpfCounters::ReadAll() const {
  std::array<uint64_t, HD_STAT_COUNT> all{};
  for (size_t i = 0; i < all.size(); ++i) all[i] = Read(static_cast<hd_stat>(i));
  return all;
}

std::optional<hd_pod_stats> BpfCounters::ReadPod(uint64_t netns_cookie) const {
  const auto values = maps_.FindPerCpu<hd_pod_stats>(MapId::kPodStats, netns_cookie);
  if (values.empty()) return std::nullopt;
  hd_pod_stats sum{};
  for (const hd_pod_stats& cpu : values) {
    sum.redirected += cpu.redirected;
    sum.passed += cpu.passed;
    sum.refused += cpu.refused;
    sum.inbound_selected += cpu.inbound_selected;
    sum.inbound_passed += cpu.inbound_passed;
    sum.inbound_refused += cpu.inbound_refused;
    sum.leaks_dropped += cpu.leaks_dropped;
  }
  return sum;
}

std::optional<MapFill> BpfCounters::Fill(MapId id) const {
  if (id == MapId::kCfg || id == MapId::kSk || id == MapId::kStats || id == MapId::kEvents)
    return std::nullopt;
  bpf_map_info info{};
  uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(maps_.fd(id), &info, &size) != 0) return std::nullopt;
  return MapFill{CountKeys(maps_.fd(id), info.key_size, info.max_entries), info.max_entries};
}

}  // namespace heddle::agent
