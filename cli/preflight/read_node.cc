#include "cli/preflight/read_node.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "agent/node/cni_chain_edit.h"
#include "agent/node/cni_conf_directory.h"
#include "agent/node/cni_paths.h"
#include "agent/node/node_trial.h"
#include "cli/preflight/node_checks.h"
#include "lib/base/status.h"
#include "lib/io/buffer.h"
#include "lib/io/reactor.h"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxProcesses = 100'000;      // Nobody has more; whose a socket is is only said.
constexpr size_t kMaxConfBytes = 1024 * 1024;  // As cni_conf_directory.cc.

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// In front of the node's own paths.
std::string HostRoot(const NodeCheckOptions& options) {
  return options.host_root == "/" ? "" : options.host_root;
}

// Of a container's mounts those that are the node's; all of them where it has none of the node's.
std::vector<Mount> MountsOfNode(std::vector<Mount> mounts, const std::string& host_root) {
  std::vector<Mount> of_node = mounts;
  std::erase_if(of_node, [&](const Mount& mount) {
    return mount.type != "cgroup2" || !mount.point.starts_with(absl::StrCat(host_root, "/"));
  });
  if (of_node.empty()) return mounts;
  std::erase_if(mounts, [](const Mount& mount) { return mount.type == "cgroup2"; });
  mounts.insert(mounts.begin(), of_node.begin(), of_node.end());
  return mounts;
}

std::string BpfFsOfNode(const NodeCheckOptions& options) {
  std::string there = HostRoot(options) + options.bpf_fs;
  std::error_code error;
  return fs::is_directory(there, error) ? there : options.bpf_fs;
}

CgroupFacts ReadCgroups(const NodeCheckOptions& options) {
  // The inode of the first cgroup namespace is a constant of the kernel (PROC_CGROUP_INIT_INO).
  constexpr char kInitial[] = "cgroup:[4026531835]";
  std::error_code error;
  return {.mounts = MountsOfNode(ParseMounts(ReadText("/proc/self/mountinfo")), HostRoot(options)),
          .chosen = options.cgroup.empty() ? "" : HostRoot(options) + options.cgroup,
          .initial_namespace = fs::read_symlink("/proc/self/ns/cgroup", error) == kInitial};
}

bool IsBpfFs(const std::string& path) {
  struct statfs info{};
  return statfs(path.c_str(), &info) == 0 && info.f_type == BPF_FS_MAGIC;
}

IoUringFacts TryIoUring() {
  constexpr size_t kTrialBytes = 1 << 20;
  io::BufferPool buffers(kTrialBytes);
  const auto ring = io::MakeIoUringReactor(buffers, io::ReactorOptions{.entries = 8});
  std::string disabled = ReadText("/proc/sys/kernel/io_uring_disabled");
  absl::StripTrailingAsciiWhitespace(&disabled);
  return {.trouble = ring ? "" : ring.error().ToString(), .disabled = std::move(disabled)};
}

// Sockets' inodes of the listeners -> the program that has them.
std::map<uint64_t, std::string> OwnersOf(const std::vector<Listener>& listeners) {
  std::map<uint64_t, std::string> owners;
  std::error_code error;
  size_t seen = 0;
  for (const fs::directory_entry& process : fs::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (++seen > kMaxProcesses) break;
    for (const fs::directory_entry& entry : fs::directory_iterator(process.path() / "fd", error)) {
      const std::string target = fs::read_symlink(entry.path(), error).string();
      uint64_t inode = 0;
      if (!target.starts_with("socket:[")) continue;
      std::from_chars(target.data() + strlen("socket:["), target.data() + target.size(), inode);
      if (std::ranges::find(listeners, inode, &Listener::inode) == listeners.end()) continue;
      std::string program = ReadText(process.path() / "comm");
      absl::StripTrailingAsciiWhitespace(&program);
      owners.emplace(inode, std::move(program));
    }
  }
  return owners;
}

// Of the network of process 1, which is the node's where its pids are the node's.
std::vector<Listener> ReadListeners() {
  std::vector<Listener> listeners;
  const bool node = fs::exists("/proc/1/net/tcp");
  for (const char* table : {"tcp", "tcp6"}) {
    const std::string path = absl::StrCat(node ? "/proc/1/net/" : "/proc/net/", table);
    for (Listener& listener : ParseListeners(ReadText(path))) listeners.push_back(listener);
  }
  const std::map<uint64_t, std::string> owners = OwnersOf(listeners);
  for (Listener& listener : listeners) {
    const auto owner = owners.find(listener.inode);
    if (owner != owners.end()) listener.program = owner->second;
  }
  return listeners;
}

CniFacts ReadCni(const NodeCheckOptions& options) {
  CniFacts facts{.conf_dir = options.cni_conf_dir, .bin_dir = options.cni_bin_dir};
  if (const auto paths = agent::CniPathsOf(options.platform); !paths.ok()) {
    facts.trouble = std::string(paths.status().message());
    return facts;
  } else if (facts.conf_dir.empty()) {
    facts.conf_dir = paths->conf_dir;
    facts.bin_dir = paths->bin_dir;
  }
  const fs::path root = options.host_root;
  std::error_code error;
  facts.has_bin_dir = fs::is_directory(root / fs::path(facts.bin_dir).relative_path(), error);
  const fs::path directory = root / fs::path(facts.conf_dir).relative_path();
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    if (!agent::CniFileKindOf(name) || !entry.is_regular_file(error)) continue;
    if (facts.files.size() >= agent::kMaxCniFiles || entry.file_size(error) > kMaxConfBytes)
      continue;
    facts.files.push_back({name, ReadText(entry.path())});
  }
  if (error && error.value() != ENOENT)
    facts.trouble = absl::StrCat("cannot read ", directory.c_str(), ": ", error.message());
  std::ranges::sort(facts.files, {}, &NamedText::name);
  return facts;
}

uint64_t DescriptorLimit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

const Trial kPrograms{
    .check = "kernel-programs",
    .works = "all BPF programs load, and attach to a cgroup and a network namespace",
    .advice =
        "Heddle needs Linux 6.1 or newer with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and BTF, "
        "and root here"};
const Trial kLeaf{
    .check = "cgroup-move",
    .works = "a process may move into a cgroup of its own",
    .advice =
        "the agent must see the real root of cgroup2, writable, from the node's cgroup namespace"};
const Trial kNetwork{
    .check = "pod-network",
    .works = "sysctls, listeners, rules and routes of a pod's network can be set",
    .advice = "the agent needs NET_ADMIN and SYS_ADMIN, and a kernel with policy routing"};

}  // namespace

std::vector<Finding> CheckNode(const NodeCheckOptions& options) {
  const CgroupFacts cgroups = ReadCgroups(options);
  const std::string bpf_fs = BpfFsOfNode(options);
  const std::string root = CgroupRoot(cgroups);
  std::vector<Finding> findings = {JudgeCgroups(cgroups)};
  findings.push_back(JudgeBpfFs(options.bpf_fs, IsBpfFs(bpf_fs)));
  if (!root.empty() && IsBpfFs(bpf_fs))
    findings.push_back(JudgeTrial(kPrograms, agent::TryBpfPrograms(root, bpf_fs)));
  if (!root.empty()) findings.push_back(JudgeTrial(kLeaf, agent::TryLeafCgroup(root)));
  findings.push_back(JudgeTrial(kNetwork, agent::TryPodNetwork()));
  findings.push_back(JudgeIoUring(TryIoUring()));
  if (!root.empty()) {
    const auto programs = agent::ForeignPrograms(root);
    findings.push_back(programs.ok() ? JudgeForeignPrograms(*programs)
                                     : JudgeTrial({.check = "bpf-programs"}, programs.status()));
  }
  for (Finding& finding : JudgeCni(ReadCni(options))) findings.push_back(std::move(finding));
  for (Finding& finding : JudgePorts(ReadListeners())) findings.push_back(std::move(finding));
  findings.push_back(JudgeDescriptors(DescriptorLimit()));
  return findings;
}

}  // namespace heddle::cli
