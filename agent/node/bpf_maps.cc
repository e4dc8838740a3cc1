#include "agent/node/bpf_maps.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>

#include "lib/base/check.h"

namespace heddle::agent {

absl::StatusOr<BpfMaps> BpfMaps::FromObject(const BpfObject& object) {
  BpfMaps maps;
  for (size_t i = 0; i < kMapCount; ++i) {
    maps.fds_[i] = UniqueFd(fcntl(object.map_fd(kMapNames[i]), F_DUPFD_CLOEXEC, 3));
    if (!maps.fds_[i].valid()) return BpfError(errno, absl::StrCat("keep the map ", kMapNames[i]));
  }
  return maps;
}

size_t BpfMaps::PossibleCpus() {
  static const int cpus = libbpf_num_possible_cpus();
  CHECK(cpus > 0);
  return static_cast<size_t>(cpus);
}

absl::Status BpfMaps::PutBytes(MapId id, const void* key, const void* value) const {
  if (const int error = bpf_map_update_elem(fd(id), key, value, BPF_ANY); error != 0) {
    const char* name = kMapNames[static_cast<size_t>(id)];
    if (error == -E2BIG || error == -ENOSPC)  // The latter is a trie's word for it.
      return absl::ResourceExhaustedError(absl::StrCat("the BPF map ", name, " is full"));
    return BpfError(error, absl::StrCat("write ", name));
  }
  return absl::OkStatus();
}

bool BpfMaps::FindBytes(MapId id, const void* key, void* value) const {
  return bpf_map_lookup_elem(fd(id), key, value) == 0;
}

bool BpfMaps::TakeBytes(MapId id, const void* key, void* value) const {
  return bpf_map_lookup_and_delete_elem(fd(id), key, value) == 0;
}

bool BpfMaps::EraseBytes(MapId id, const void* key) const {
  return bpf_map_delete_elem(fd(id), key) == 0;
}

bool BpfMaps::NextKey(MapId id, const void* key, void* next) const {
  return bpf_map_get_next_key(fd(id), key, next) == 0;
}

}  // namespace heddle::agent
