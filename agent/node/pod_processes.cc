#include "agent/node/pod_processes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <filesystem>
#include <fstream>
#include <tuple>

#include "lib/cni/invocation.h"

namespace heddle::agent {

std::string PodUidOfCgroup(std::string_view name) {
  constexpr std::string_view kPod = "pod";
  constexpr std::string_view kSlice = ".slice";
  // A UUID, or 32 hex digits (static pods): "podman" is none.
  constexpr size_t kUidBytesMin = 32;
  const bool slice = name.ends_with(kSlice);
  if (slice) {
    name.remove_suffix(kSlice.size());
    const size_t at = name.rfind("-pod");
    if (at == std::string_view::npos) return "";
    name.remove_prefix(at + 1);
  }
  if (!name.starts_with(kPod)) return "";
  std::string uid(name.substr(kPod.size()));
  if (slice) absl::StrReplaceAll({{"_", "-"}}, &uid);
  return uid.size() >= kUidBytesMin && cni::IsPodUid(uid) ? uid : "";
}

PodSearch::PodSearch(absl::flat_hash_set<std::string> uids, std::string cgroup)
    : uids_(std::move(uids)) {
  if (!uids_.empty()) pending_.push_back({std::move(cgroup), ""});
}

bool PodSearch::Step(size_t cgroups) {
  for (; cgroups > 0 && !pending_.empty(); --cgroups) {
    const Cgroup next = std::move(pending_.back());
    pending_.pop_back();
    LookBelow(next);
    if (!next.uid.empty()) LookInside(next);
  }
  return !pending_.empty();
}

void PodSearch::LookBelow(const Cgroup& cgroup) {
  std::error_code error;
  // One that goes meanwhile has nothing below. Not a range-for, whose increment throws.
  for (std::filesystem::directory_iterator entry(cgroup.path, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_directory(gone)) continue;
    std::string uid =
        cgroup.uid.empty() ? PodUidOfCgroup(entry->path().filename().string()) : cgroup.uid;
    if (uid.empty() || uids_.contains(uid)) pending_.push_back({entry->path(), std::move(uid)});
  }
}

void PodSearch::LookInside(const Cgroup& cgroup) {
  std::ifstream processes(absl::StrCat(cgroup.path, "/cgroup.procs"));
  // 0 stands for a process of another pid namespace.
  for (int pid = 0; processes >> pid;) {
    if (pid != 0) Keep(cgroup.uid, Process(pid));
  }
}

void PodSearch::Keep(const std::string& uid, const Process& process) {
  const uint64_t started = process.Started();
  const auto found = found_.find(uid);
  const auto age = [](uint64_t when, int pid) { return std::tuple(when, pid); };
  if (started == 0 || (found != found_.end() &&
                       age(found->second.started, found->second.pid) < age(started, process.pid())))
    return;
  auto netns = OpenNetns(process.NetnsPath());
  const auto inode = netns.ok() ? IdentifyNetns(netns->get()) : netns.status();
  // Had it ended meanwhile, the number could be another process's by now.
  if (inode.ok() && process.Started() == started)
    found_.insert_or_assign(uid, PodPlace{process.pid(), started, *inode, *std::move(netns)});
}

}  // namespace heddle::agent
