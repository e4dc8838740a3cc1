#include "agent/node/agent_cgroup.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/node/bpf_object.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<uint64_t> CgroupId(const std::string& path) {
  struct statfs system{};
  struct stat info{};
  if (statfs(path.c_str(), &system) != 0 || stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read the cgroup ", path));
  }
  if (system.f_type != CGROUP2_SUPER_MAGIC)
    return absl::FailedPreconditionError(absl::StrCat(path, " is not on cgroup2"));
  return static_cast<uint64_t>(
      info.st_ino);  // On 64-bit kernels kernfs uses the id as inode number.
}

UniqueFd OpenProcs(const std::string& cgroup) {
  return UniqueFd(open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
}

// Of process 1, which is the node's where its pids are seen. The kernel asks for the cgroup namespace
// of who has opened the file, so the calling thread is in the node's only for that moment.
UniqueFd OpenProcsAsNode(const std::string& cgroup) {
  const UniqueFd own(open("/proc/thread-self/ns/cgroup", O_RDONLY | O_CLOEXEC));
  const UniqueFd node(open("/proc/1/ns/cgroup", O_RDONLY | O_CLOEXEC));
  if (!own.valid() || !node.valid() || setns(node.get(), CLONE_NEWCGROUP) != 0) return UniqueFd();
  UniqueFd procs = OpenProcs(cgroup);
  if (setns(own.get(), CLONE_NEWCGROUP) != 0) return UniqueFd();
  return procs;
}

bool WritePid(const UniqueFd& procs) {
  const std::string pid = absl::StrCat(getpid());
  return procs.valid() && write(procs.get(), pid.data(), pid.size()) >= 0;
}

// Where cgroup2 is mounted with nsdelegate, as systemd does, a process may be moved only between
// cgroups that the cgroup namespace shows (cgroups(7)), else it is ENOENT; that of a container shows
// none but its own.
absl::Status MoveSelf(const std::string& cgroup) {
  if (WritePid(OpenProcs(cgroup))) return absl::OkStatus();
  const int error = errno;
  if (error == ENOENT && WritePid(OpenProcsAsNode(cgroup))) return absl::OkStatus();
  return absl::ErrnoToStatus(error,
                             absl::StrCat("cannot move this process into the cgroup ", cgroup));
}

// rmdir fails for a cgroup that has processes, which is just what is wanted.
void RemoveAbandonedLeaves(const std::string& root, const std::string& prefix) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    if (entry.path().filename().string().starts_with(prefix)) rmdir(entry.path().c_str());
  }
}

// Field 22 of /proc/PID/stat, counted after the command, which may contain anything; 0: there is no
// such process.
uint64_t StartTicks(uint32_t pid) {
  constexpr size_t kFieldAfterCommand = 22 - 3;
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t command_end = text.rfind(") ");
  if (command_end == std::string::npos) return 0;
  const std::vector<std::string> fields = absl::StrSplit(text.substr(command_end + 2), ' ');
  uint64_t ticks = 0;
  if (fields.size() <= kFieldAfterCommand || !absl::SimpleAtoi(fields[kFieldAfterCommand], &ticks))
    return 0;
  return ticks;
}

std::string OwnLeaf(const std::string& root, std::string_view prefix) {
  return absl::StrCat(root, "/", ToAbsl(prefix), ".", getpid());
}

}  // namespace

void LeaveLeafCgroup(const std::string& cgroup_root, std::string_view prefix) {
  if (MoveSelf(cgroup_root).ok()) rmdir(OwnLeaf(cgroup_root, prefix).c_str());
}

absl::StatusOr<CgroupPlace> LocateOwnCgroup(const std::string& cgroup_root) {
  constexpr const char* kProgram[] = {"hd_whoami_run"};
  TRY_ASSIGN(const uint64_t root_id, CgroupId(cgroup_root));
  TRY_ASSIGN(BpfObject object, BpfObject::Open());
  object.SelectPrograms(kProgram);
  object.CreateNoMaps();
  TRY_STATUS(object.Load());
  hd_whoami answer{.ancestor_id = root_id};
  LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &answer, .ctx_size_in = sizeof answer);
  if (const int error = bpf_prog_test_run_opts(object.program_fd(kProgram[0]), &run); error != 0) {
    return BpfError(error, "ask for this process's cgroup");
  }
  if (answer.found == 0) {
    return absl::FailedPreconditionError(absl::StrCat("this process is not inside the cgroup ",
                                                      cgroup_root, " that --cgroup names"));
  }
  return CgroupPlace{
      .id = answer.cgroup_id, .root_id = root_id, .root_level = answer.ancestor_level};
}

absl::StatusOr<CgroupPlace> JoinLeafCgroup(const std::string& cgroup_root,
                                           std::string_view prefix) {
  const std::string name_start = absl::StrCat(ToAbsl(prefix), ".");
  TRY_STATUS(CgroupId(cgroup_root).status());
  RemoveAbandonedLeaves(cgroup_root, name_start);
  const std::string leaf = OwnLeaf(cgroup_root, prefix);
  if (mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the cgroup ", leaf));
  }
  TRY_STATUS(MoveSelf(leaf));
  TRY_ASSIGN(const uint64_t leaf_id, CgroupId(leaf));
  TRY_ASSIGN(const CgroupPlace place, LocateOwnCgroup(cgroup_root));
  if (place.id != leaf_id || place.id == place.root_id) {
    return absl::InternalError(absl::StrCat("moved to the cgroup ", leaf, " (id ", leaf_id,
                                            "), but the kernel sees id ", place.id));
  }
  return place;
}

absl::StatusOr<ProbeRule> MakeProbeRule(hd_probe_mode mode, const std::string& cgroup_root,
                                        const CgroupPlace& place,
                                        const std::string& relative_path) {
  ProbeRule rule{.mode = mode};
  if (mode != HD_PROBE_OUTSIDE && mode != HD_PROBE_INSIDE) return rule;
  const fs::path relative = fs::path(relative_path).lexically_normal();
  if (relative.empty() || relative.is_absolute() || *relative.begin() == ".." ||
      *relative.begin() == ".") {
    return absl::InvalidArgumentError(absl::StrCat(
        "the probe cgroup '", relative_path, "' must be a path below --cgroup, such as kubepods"));
  }
  const std::string named = (fs::path(cgroup_root) / relative).string();
  absl::StatusOr<uint64_t> id = CgroupId(named);
  if (absl::IsNotFound(id.status())) id = CgroupId(absl::StrCat(named, ".slice"));
  if (!id.ok())
    return absl::IsNotFound(id.status()) ? absl::StatusOr<ProbeRule>(rule) : id.status();
  rule.cgroup_id = *id;
  const auto names = std::count_if(relative.begin(), relative.end(),
                                   [](const fs::path& part) { return !part.empty(); });
  rule.cgroup_level = place.root_level + static_cast<uint32_t>(names);
  return rule;
}

absl::Status ProxyRegistry::RegisterSelf(uint64_t cgroup_id, std::string_view instance_name) const {
  for (const uint64_t other : maps_.Keys<uint64_t>(MapId::kProxies)) {
    const std::optional<hd_proxy> proxy = maps_.Find<hd_proxy>(MapId::kProxies, other);
    if (proxy && StartTicks(proxy->pid) != proxy->started_ticks)
      maps_.Erase(MapId::kProxies, other);
  }
  hd_proxy self{.started_ticks = StartTicks(static_cast<uint32_t>(getpid())),
                .pid = static_cast<__u32>(getpid())};
  memcpy(self.name, instance_name.data(), std::min(instance_name.size(), sizeof self.name - 1));
  return maps_.Put(MapId::kProxies, cgroup_id, self);
}

void ProxyRegistry::Unregister(uint64_t cgroup_id) const {
  maps_.Erase(MapId::kProxies, cgroup_id);
}

}  // namespace heddle::agent
