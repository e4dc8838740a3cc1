#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/bpf_object.h"
#include "bpf/hd_abi.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {

// The maps of bpf/maps.h, which is their schema.
enum class MapId : uint8_t {
  kCfg,
  kPods,
  kPodIp,
  kListen,
  kOrigdst,
  kBypass,
  kProxies,
  kExclPort,
  kExclCidr,
  kSk,
  kStats,
  kPodStats,
  kEvents,
};
inline constexpr size_t kMapCount = 13;
inline constexpr std::array<const char*, kMapCount> kMapNames = {
    "hd_cfg",    "hd_pods",      "hd_pod_ip",    "hd_listen",    "hd_origdst",
    "hd_bypass", "hd_proxies",   "hd_excl_port", "hd_excl_cidr", "hd_sk",
    "hd_stats",  "hd_pod_stats", "hd_events",
};

// Descriptors of all maps, and the system calls on them. Immutable once built; calls are
// thread-safe, since the kernel serves them. No descriptor leaves agent/node.
class BpfMaps {
 public:
  // Duplicates the descriptors of a loaded object.
  static absl::StatusOr<BpfMaps> FromObject(const BpfObject& object);

  int fd(MapId id) const { return fds_[static_cast<size_t>(id)].get(); }

  // Key and value are the map's types in hd_abi.h.
  template <typename Key, typename Value>
  absl::Status Put(MapId id, const Key& key, const Value& value) const {
    return PutBytes(id, &key, &value);
  }
  template <typename Value, typename Key>
  std::optional<Value> Find(MapId id, const Key& key) const {
    Value value{};
    if (!FindBytes(id, &key, &value)) return std::nullopt;
    return value;
  }
  // Lookup and delete in one step: of several callers one gets it.
  template <typename Value, typename Key>
  std::optional<Value> Take(MapId id, const Key& key) const {
    Value value{};
    if (!TakeBytes(id, &key, &value)) return std::nullopt;
    return value;
  }
  // True if there was an entry.
  template <typename Key>
  bool Erase(MapId id, const Key& key) const {
    return EraseBytes(id, &key);
  }
  // Per-CPU maps: one value for each possible CPU.
  template <typename Value, typename Key>
  std::vector<Value> FindPerCpu(MapId id, const Key& key) const {
    static_assert(sizeof(Value) % 8 == 0,
                  "the kernel lays the values out at multiples of eight bytes");
    std::vector<Value> values(PossibleCpus());
    if (!FindBytes(id, &key, values.data())) values.clear();
    return values;
  }
  template <typename Value, typename Key>
  absl::Status PutPerCpuZero(MapId id, const Key& key) const {
    static_assert(sizeof(Value) % 8 == 0);
    const std::vector<Value> zero(PossibleCpus());
    return PutBytes(id, &key, zero.data());
  }
  // Every key that was there from beginning to end of the call; those that come or go meanwhile may
  // or may not be among them.
  template <typename Key>
  std::vector<Key> Keys(MapId id) const {
    std::vector<Key> keys;
    Key key{};
    for (bool found = NextKey(id, nullptr, &key); found; found = NextKey(id, &keys.back(), &key)) {
      keys.push_back(key);
      if (keys.size() > kKeysMax) break;
    }
    return keys;
  }

 private:
  // An iteration restarts when its key was deleted under it; this bounds it. Above every map's
  // size.
  static constexpr size_t kKeysMax = 1 << 20;

  static size_t PossibleCpus();
  absl::Status PutBytes(MapId id, const void* key, const void* value) const;
  bool FindBytes(MapId id, const void* key, void* value) const;
  bool TakeBytes(MapId id, const void* key, void* value) const;
  bool EraseBytes(MapId id, const void* key) const;
  bool NextKey(MapId id, const void* key, void* next) const;

  std::array<UniqueFd, kMapCount> fds_;
};

}  // namespace heddle::agent
