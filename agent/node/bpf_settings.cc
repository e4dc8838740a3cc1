#include "agent/node/bpf_settings.h"

#include <absl/strings/str_cat.h>
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace heddle::agent {
namespace {

size_t MappedBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

uint64_t MonotonicNow() {  // The clock of bpf_ktime_get_ns.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

absl::Status WrongVersion(uint32_t found, const std::string& where) {
  return absl::FailedPreconditionError(
      absl::StrCat("the BPF maps ", where, " are of schema version ", found,
                   ", this agent writes version ", HD_SCHEMA_VERSION,
                   "; drain the node and remove them with `heddlectl purge`, or start the agent "
                   "that made them"));
}

template <typename T>
void Store(T& where, T value) {
  std::atomic_ref<T>(where).store(value, std::memory_order_release);
}

}  // namespace

absl::Status CheckSchemaVersion(const std::string& pin_path) {
  const UniqueFd map(bpf_obj_get(pin_path.c_str()));
  if (!map.valid())
    return errno == ENOENT ? absl::OkStatus() : BpfError(errno, absl::StrCat("open ", pin_path));
  bpf_map_info info{};
  uint32_t size = sizeof info;
  if (const int error = bpf_obj_get_info_by_fd(map.get(), &info, &size); error != 0) {
    return BpfError(error, absl::StrCat("read ", pin_path));
  }
  // Whatever else another version changed, the version itself is its first field.
  std::string value(info.value_size, '\0');
  const uint32_t zero = 0;
  if (info.key_size != sizeof zero || info.value_size < sizeof(uint32_t))
    return WrongVersion(0, absl::StrCat("at ", pin_path));
  if (const int error = bpf_map_lookup_elem(map.get(), &zero, value.data()); error != 0) {
    return BpfError(error, absl::StrCat("read ", pin_path));
  }
  uint32_t version = 0;
  memcpy(&version, value.data(), sizeof version);
  // Zero: an agent died after it had made the maps and before it wrote to them.
  if (version == 0 || version == HD_SCHEMA_VERSION) return absl::OkStatus();
  return WrongVersion(version, absl::StrCat("at ", pin_path));
}

absl::StatusOr<BpfSettings> BpfSettings::Open(const BpfMaps& maps, uint64_t host_netns_cookie) {
  void* page =
      mmap(nullptr, MappedBytes(), PROT_READ | PROT_WRITE, MAP_SHARED, maps.fd(MapId::kCfg), 0);
  if (page == MAP_FAILED) return BpfError(errno, "map hd_cfg into memory");
  BpfSettings settings(static_cast<hd_cfg*>(page));
  hd_cfg& cfg = *settings.cfg_;
  if (cfg.schema_version != 0 && cfg.schema_version != HD_SCHEMA_VERSION)
    return WrongVersion(cfg.schema_version, "found");
  Store<__u64>(cfg.host_netns_cookie, host_netns_cookie);
  Store<__u32>(cfg.schema_version, HD_SCHEMA_VERSION);
  return settings;
}

BpfSettings::BpfSettings(BpfSettings&& other) noexcept : cfg_(std::exchange(other.cfg_, nullptr)) {}

BpfSettings::~BpfSettings() {
  if (cfg_ != nullptr) munmap(cfg_, MappedBytes());
}

void BpfSettings::Beat() { Store<__u64>(cfg_->heartbeat_ns, MonotonicNow()); }

void BpfSettings::StopBeating() { Store<__u64>(cfg_->heartbeat_ns, 0); }

void BpfSettings::SetProbeRule(const ProbeRule& rule) {
  // No probe is recognised while cgroup and level do not belong together.
  Store(cfg_->probe_mode, HD_PROBE_NONE);
  Store<__u64>(cfg_->probe_cgroup_id, rule.cgroup_id);
  Store<__u32>(cfg_->probe_cgroup_level, rule.cgroup_level);
  Store(cfg_->probe_mode, rule.mode);
}

hd_cfg BpfSettings::Read() const { return *cfg_; }

}  // namespace heddle::agent
