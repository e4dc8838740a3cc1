#include "agent/node_setup.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/io/buffer.h"
#include "lib/io/reactor.h"

namespace heddle::agent {
namespace {

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot create ", path, ": ", std::strerror(errno)));
}

// proc(5), mountinfo: "36 35 98:0 /root /mount/point options - type source super-options".
absl::StatusOr<std::string> FindCgroup2() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::vector<std::string> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2 || !absl::StartsWith(halves[1], "cgroup2 ")) continue;
    const std::vector<std::string> fields = absl::StrSplit(halves[0], ' ');
    if (fields.size() > 4) return fields[4];
  }
  return absl::NotFoundError(
      "no cgroup2 is mounted; Heddle attaches its programs there (mount -t cgroup2 none "
      "/sys/fs/cgroup)");
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    LOG_WARN("limits.nofile", KV("error", std::strerror(errno)));
}

hd_probe_mode KernelMode(ProbeMode mode) {
  switch (mode) {
    case ProbeMode::kNone: return HD_PROBE_NONE;
    case ProbeMode::kAll: return HD_PROBE_ALL;
    case ProbeMode::kOutsidePods: return HD_PROBE_OUTSIDE;
    case ProbeMode::kInsideCgroup: return HD_PROBE_INSIDE;
  }
  return HD_PROBE_NONE;
}

}  // namespace

absl::Status ApplyProbeRule(const NodeConfig& config, NodeSetup& setup) {
  TRY_ASSIGN(const ProbeRule rule, MakeProbeRule(KernelMode(config.probe_mode), config.cgroup,
                                                 setup.place, config.probe_cgroup));
  setup.bpf->settings().SetProbeRule(rule);
  const bool missed =
      rule.cgroup_id == 0 && (rule.mode == HD_PROBE_OUTSIDE || rule.mode == HD_PROBE_INSIDE);
  if (missed && !setup.probe_cgroup_missed)
    LOG_WARN("probe.cgroup.missing", KV("cgroup", config.probe_cgroup), KV("below", config.cgroup),
             KV("effect", "the node's own connects to captured pods count as plaintext of a stranger, so "
                          "probes of pods with STRICT mTLS fail; see --probe-cgroup and --probe-mode"));
  setup.probe_cgroup_missed = missed;
  return absl::OkStatus();
}

absl::Status CheckBackend(io::BackendChoice backend) {
  if (backend != io::BackendChoice::kIoUring) return absl::OkStatus();
  constexpr size_t kTrialBytes = 1 << 20;
  io::BufferPool buffers(kTrialBytes);
  const auto ring = io::MakeIoUringReactor(buffers, io::ReactorOptions{.entries = 8});
  if (ring) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--backend io_uring cannot be had here: ", ring.error().ToString(),
                   "; see /proc/sys/kernel/io_uring_disabled, or use --backend auto"));
}

absl::StatusOr<NodeSetup> SetUpNode(NodeConfig& config) {
  TRY_STATUS(MakeDirectory(config.run_dir, 0700));
  TRY_STATUS(MakeDirectory(absl::StrCat(config.run_dir, "/certificates"), 0700));
  TRY_STATUS(MakeDirectory(config.state_dir, 0700));
  RaiseDescriptorLimit();
  if (config.cgroup.empty()) {
    TRY_ASSIGN(config.cgroup, FindCgroup2());
  }
  NodeSetup setup;
  TRY_ASSIGN(setup.place, JoinLeafCgroup(config.cgroup, "heddle-agent"));
  TRY_ASSIGN(setup.bpf, BpfLoader::Load({.cgroup = config.cgroup, .pin_dir = config.pin_dir}));
  TRY_STATUS(ProxyRegistry(setup.bpf->maps()).RegisterSelf(setup.place.id, config.node_name));
  TRY_STATUS(ApplyProbeRule(config, setup));
  setup.bpf->settings().Beat();
  return setup;
}

}  // namespace heddle::agent
