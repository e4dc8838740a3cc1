#include "agent/node/node_trial.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "agent/node/agent_cgroup.h"
#include "agent/node/bpf_loader.h"
#include "agent/node/netns.h"
#include "agent/node/pod_lookup_link.h"
#include "agent/node/pod_sockets.h"
#include "lib/base/status.h"
#include "lib/netlink/route.h"

namespace heddle::agent {
namespace {

constexpr char kName[] = "heddle-trial";
constexpr size_t kMaxSentenceBytes = 4096;  // A verifier log is cut to less than that.

// What the child says is a sentence; nothing is that all went well. A child that dies says so by how
// it ended.
absl::Status ReadVerdict(int pipe, pid_t child) {
  std::string sentence;
  std::array<char, 512> piece{};
  while (sentence.size() < kMaxSentenceBytes) {
    const ssize_t got = read(pipe, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    sentence.append(piece.data(), static_cast<size_t>(got));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!sentence.empty()) return absl::FailedPreconditionError(sentence);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the process that tried it ended with status ", status));
}

absl::Status InChild(absl::Status (*work)(const std::string&, const std::string&),
                     const std::string& first = "", const std::string& second = "") {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const pid_t child = fork();
  if (child < 0) return absl::ErrnoToStatus(errno, "cannot make a process");
  if (child == 0) {
    const absl::Status done = work(first, second);
    const std::string sentence(done.message());
    if (!done.ok()) (void)!write(out.get(), sentence.data(), sentence.size());
    _exit(done.ok() ? 0 : 1);
  }
  out = UniqueFd();
  return ReadVerdict(in.get(), child);
}

// One whose loopback is up, as a pod's is.
absl::Status EnterNewNetns() {
  if (unshare(CLONE_NEWNET) != 0)
    return absl::ErrnoToStatus(errno, "cannot make a network namespace; are you root?");
  return Annotate(netlink::BringUpLoopback(), "in a network namespace of its own");
}

absl::Status LoadAndAttach(const BpfLoaderOptions& options) {
  TRY_ASSIGN(const std::unique_ptr<BpfLoader> loader, BpfLoader::Load(options));
  TRY_ASSIGN(const uint64_t cookie, OwnNetnsCookie());
  TRY_ASSIGN(const UniqueFd netns, OpenNetns("/proc/self/ns/net"));
  return PodLookupLinks(loader->maps(), loader->pins()).Attach(cookie, netns.get());
}

absl::Status BpfInChild(const std::string& cgroup, const std::string& bpf_fs) {
  TRY_STATUS(EnterNewNetns());
  // A BPF file system takes no dots in names.
  const std::string name = absl::StrCat("/", kName, "-", getpid());
  const BpfLoaderOptions options{.cgroup = cgroup + name, .pin_dir = bpf_fs + name};
  if (mkdir(options.cgroup.c_str(), 0755) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the cgroup ", options.cgroup));
  const absl::Status tried = LoadAndAttach(options);
  const absl::Status purged = BpfLoader::Purge(options.pin_dir);
  (void)rmdir(options.cgroup.c_str());
  return tried.ok() ? purged : tried;
}

absl::Status LeafInChild(const std::string& cgroup, const std::string&) {
  return JoinLeafCgroup(cgroup, kName).status();
}

absl::Status NetworkInChild(const std::string&, const std::string&) {
  TRY_STATUS(EnterNewNetns());
  Sysctls before;
  TRY_STATUS(ApplyPodSysctls(before));
  constexpr uint16_t kAnyOfOurs = 15008;
  TRY_STATUS(MakeListeningSocket(kAnyOfOurs).status());
  TRY_STATUS(MakeDialSocket(AF_INET, DialPurpose::kApplication).status());
  return AddApplicationDelivery();
}

}  // namespace

absl::Status TryBpfPrograms(const std::string& cgroup, const std::string& bpf_fs) {
  struct statfs info{};
  if (statfs(bpf_fs.c_str(), &info) != 0 || info.f_type != BPF_FS_MAGIC)
    return absl::FailedPreconditionError(absl::StrCat(bpf_fs, " is no BPF file system"));
  return InChild(BpfInChild, cgroup, bpf_fs);
}

absl::Status TryLeafCgroup(const std::string& cgroup) {
  const absl::Status tried = InChild(LeafInChild, cgroup);
  std::error_code ignored;
  // The child's leaf, which could not be removed while the child was in it.
  for (const auto& entry : std::filesystem::directory_iterator(cgroup, ignored)) {
    if (entry.path().filename().string().starts_with(absl::StrCat(kName, ".")))
      (void)rmdir(entry.path().c_str());
  }
  return tried;
}

absl::Status TryPodNetwork() { return InChild(NetworkInChild); }

}  // namespace heddle::agent
