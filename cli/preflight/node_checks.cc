#include "cli/preflight/node_checks.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <set>

namespace heddle::cli {
namespace {

// Two descriptors for each connection and stream; the agent derives its limit of connections from
// this one (agent/proxy/limits.h).
constexpr uint64_t kFewDescriptors = 65'536;

bool HasOption(const std::string& options, std::string_view option) {
  const std::vector<std::string> all = absl::StrSplit(options, ',');
  return std::ranges::find(all, option) != all.end();
}

const Mount* ChosenMount(const CgroupFacts& facts) {
  for (const Mount& mount : facts.mounts) {
    if (mount.type == "cgroup2" && (facts.chosen.empty() || mount.point == facts.chosen))
      return &mount;
  }
  return nullptr;
}

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> all) {
  return std::ranges::find(all, text) != all.end();
}

std::string ByWhom(const Listener& listener) {
  return listener.program.empty() ? "" : absl::StrCat(" (", listener.program, ")");
}

}  // namespace

std::string CgroupRoot(const CgroupFacts& facts) {
  const Mount* mount = ChosenMount(facts);
  return mount == nullptr ? facts.chosen : mount->point;
}

Finding JudgeCgroups(const CgroupFacts& facts) {
  Finding finding{.check = "cgroup2"};
  const Mount* mount = ChosenMount(facts);
  if (mount == nullptr) {
    finding.verdict = Verdict::kFailed;
    finding.sentence = facts.chosen.empty() ? "no cgroup2 is mounted"
                                            : absl::StrCat("there is no cgroup2 at ", facts.chosen);
    finding.advice =
        "boot with systemd.unified_cgroup_hierarchy=1, or mount it: mount -t cgroup2 none "
        "/sys/fs/cgroup/unified";
    return finding;
  }
  const bool hybrid =
      std::ranges::any_of(facts.mounts, [](const Mount& other) { return other.type == "cgroup"; });
  finding.sentence = absl::StrCat(
      "cgroup2 is at ", mount->point, hybrid ? ", beside hierarchies of version 1" : "",
      HasOption(mount->super_options, "nsdelegate") ? ", nsdelegate" : "");
  if (mount->root != "/" || !facts.initial_namespace) {
    finding.verdict = Verdict::kWarning;
    absl::StrAppend(&finding.sentence, "; what is seen from here is not its real root");
    finding.advice = "run this on the node or in a pod with the node's pid and cgroup namespaces";
  } else if (mount->point != "/sys/fs/cgroup") {
    finding.verdict = Verdict::kWarning;
    finding.advice = absl::StrCat("install with agent.host.cgroup=", mount->point);
  }
  return finding;
}

Finding JudgeTrial(const Trial& trial, const absl::Status& status) {
  if (status.ok()) return {.check = trial.check, .sentence = trial.works};
  return {.check = trial.check,
          .verdict = Verdict::kFailed,
          .sentence = std::string(status.message()),
          .advice = trial.advice};
}

Finding JudgeBpfFs(const std::string& path, bool is_bpf_fs) {
  if (is_bpf_fs)
    return {.check = "bpffs", .sentence = absl::StrCat("a BPF file system is at ", path)};
  return {.check = "bpffs",
          .verdict = Verdict::kFailed,
          .sentence = absl::StrCat("no BPF file system is at ", path),
          .advice = absl::StrCat("mount -t bpf bpf ", path, ", and in /etc/fstab: bpf ", path,
                                 " bpf defaults 0 0")};
}

Finding JudgeIoUring(const IoUringFacts& facts) {
  if (facts.trouble.empty()) return {.check = "io_uring", .sentence = "io_uring works"};
  return {.check = "io_uring",
          .verdict = Verdict::kWarning,
          .sentence = absl::StrCat(
              "io_uring cannot be had",
              facts.disabled.empty() || facts.disabled == "0"
                  ? ""
                  : absl::StrCat(" (kernel.io_uring_disabled is ", facts.disabled, ")"),
              ": ", facts.trouble),
          .advice = "agents fall back to epoll, which is slower; agent.backend=epoll says so"};
}

Finding JudgeForeignPrograms(const std::vector<agent::ForeignProgram>& programs) {
  if (programs.empty())
    return {.check = "bpf-programs",
            .sentence = "no programs of others are at the hooks of cgroup2's root"};
  std::set<std::string> names;
  bool socket_balancer = false;
  bool socket_maps = false;
  for (const agent::ForeignProgram& program : programs) {
    names.insert(
        absl::StrCat(program.name.empty() ? "unnamed" : program.name, " at ", program.hook));
    socket_balancer |= IsOneOf(program.hook, {"connect4", "connect6"});
    socket_maps |= program.hook == "sock_ops";
  }
  Finding finding{.check = "bpf-programs",
                  .verdict = Verdict::kWarning,
                  .sentence = absl::StrCat("others have programs at the hooks that Heddle uses: ",
                                           absl::StrJoin(names, ", "))};
  if (socket_balancer) {
    finding.advice =
        "a load balancer in pods' sockets hides Services from the mesh; with Cilium set "
        "socketLB.hostNamespaceOnly=true";
  } else if (socket_maps) {
    finding.advice =
        "acceleration by socket maps takes connections from under the mesh; turn it off";
  }
  return finding;
}

std::vector<Finding> JudgePorts(const std::vector<Listener>& listeners) {
  std::vector<Finding> findings;
  std::set<uint16_t> told;
  for (const Listener& listener : listeners) {
    // The agent's own on the node, and those that it has inside captured pods.
    const bool ours = listener.port == 15000 || listener.port == 15020 || listener.port == 15021;
    const bool of_pods = IsOneOf(absl::StrCat(listener.port), {"15001", "15006", "15008", "15053"});
    if ((!ours && !of_pods) || listener.program == "heddle-agent") continue;
    if (!told.insert(listener.port).second) continue;
    Finding finding{
        .check = "ports",
        .verdict = ours ? Verdict::kFailed : Verdict::kWarning,
        .sentence = absl::StrCat("somebody", ByWhom(listener), " listens on port ", listener.port,
                                 " of the node"),
        .advice = ours ? "the agent serves its metrics and its health there: stop the other program"
                       : "pods are not hindered, but it is a port of meshes: is another one here?"};
    findings.push_back(std::move(finding));
  }
  if (findings.empty())
    findings.push_back({.check = "ports", .sentence = "no port of Heddle is in use on the node"});
  return findings;
}

Finding JudgeDescriptors(uint64_t hard_limit) {
  if (hard_limit >= kFewDescriptors)
    return {.check = "descriptors",
            .sentence = absl::StrCat("a process may have ", hard_limit, " descriptors")};
  return {.check = "descriptors",
          .verdict = Verdict::kWarning,
          .sentence = absl::StrCat("a process may have ", hard_limit, " descriptors only"),
          .advice =
              "agents serve as many connections as that allows: raise LimitNOFILE of the container "
              "runtime"};
}

}  // namespace heddle::cli
