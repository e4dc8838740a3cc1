// What PodRegistry does on its own: adopts pods, compares them with the kernel, repairs, lets go.
#include <absl/container/flat_hash_set.h>

#include <map>
#include <utility>

#include "agent/node/pod_registry.h"
#include "lib/base/log.h"

namespace heddle::agent {
namespace {

// Dials and ADDs wait for the same thread: a step takes less than a millisecond.
constexpr size_t kProcessesPerStep = 64;

// Only what was looked at can be gone: a node that is out of descriptors must not let its pods go.
bool NetnsIsGone(const CaptureRecord& record) {
  const auto fd = OpenNetns(record.netns_path);
  if (!fd.ok()) return absl::IsNotFound(fd.status());
  const auto inode = IdentifyNetns(fd->get());
  return !inode.ok() || *inode != record.netns;
}

}  // namespace

// A netns that this process keeps open keeps its inode number; that of a record from before may
// have gone to another one. Cookies are not used again.
Task<bool> PodRegistry::IsGone(CaptureRecord record) {
  if (NetnsIsGone(record)) co_return true;
  const auto netns = OpenNetns(record.netns_path);
  if (!netns.ok()) co_return false;
  const auto inside = co_await parts_.capture.LookInside(netns->get());
  co_return inside.ok() && inside->cookie != record.netns_cookie;
}

Task<void> PodRegistry::Adopt(CaptureRecord record) {
  const std::string uid = record.uid;
  const Busy busy(*this, record);
  if (co_await IsGone(record)) {
    unadopted_.erase(uid);
    co_return ForgetGone(record);
  }
  auto netns = OpenNetns(record.netns_path);
  const NodePodRef settings = parts_.node_pods.Find(PodUid(uid));
  absl::StatusOr<std::unique_ptr<LivePod>> live = nullptr;
  if (netns.ok() && (leave_all_ || (settings != nullptr && !settings->in_mesh()))) {
    // It was leaving, and what was open has ended with the agent before us.
    LOG_INFO("pod.released", KV("pod", record.PodName()), KV("uid", uid),
             KV("why", "not enrolled"));
    co_await parts_.capture.ReleaseUnserved(record, *std::move(netns));
    unadopted_.erase(uid);
    co_return RemoveRecord(uid);
  }
  if (netns.ok()) {
    live = co_await parts_.capture.Adopt(record, *std::move(netns), settings);
  } else {
    live = netns.status();
  }
  if (!live.ok()) {
    LOG_ERROR("pod.adopt.failed", KV("pod", record.PodName()), KV("uid", uid),
              KV("error", live.status()));
    co_return;
  }
  unadopted_.erase(uid);
  LOG_INFO("pod.adopted", KV("pod", record.PodName()), KV("uid", uid));
  Insert(*std::move(live));
}

// The kernel holds their traffic, and nobody serves it: tried again until it works or they go.
Task<void> PodRegistry::AdoptTheRest() {
  std::vector<CaptureRecord> records;
  for (const auto& [uid, record] : unadopted_) records.push_back(record);
  for (CaptureRecord& record : records) {
    if (!busy_.contains(record.uid) && unadopted_.contains(record.uid))
      co_await Adopt(std::move(record));
  }
}

Task<void> PodRegistry::AdoptAll() {
  std::vector<std::string> unreadable;
  std::vector<CaptureRecord> records = parts_.records.Load(unreadable);
  for (const std::string& sentence : unreadable)
    LOG_ERROR("pod.record.unreadable", KV("error", sentence));
  for (CaptureRecord& record : records) {
    std::string uid = record.uid;
    unadopted_.emplace(std::move(uid), std::move(record));
  }
  co_await FollowProcesses();
  co_await AdoptTheRest();
  CountGaps();
}

// A record of the kernel that no command is about and nobody here knows is of a pod whose file was
// lost: its traffic is refused as long as its netns lives.
void PodRegistry::CountGaps() {
  size_t gaps = unadopted_.size();
  absl::flat_hash_set<uint64_t> known;
  for (const auto& [uid, record] : unadopted_) known.insert(record.netns_cookie);
  for (const auto& [uid, entry] : pods_) {
    known.insert(entry.pod->record.netns_cookie);
    if (!entry.problem.empty() || !entry.strays.empty()) ++gaps;
  }
  gaps += attempts_.size();
  if (busy_.empty()) unowned_ = parts_.capture.ForgetTheDead(known);
  stats_.gaps = gaps + unowned_;
}

Task<void> PodRegistry::ReconcilePod(std::string uid) {
  if (busy_.contains(uid) || Find(uid) == nullptr) co_return;
  LivePod& pod = *Find(uid)->pod;
  const Busy busy(*this, pod.record);
  if (NetnsIsGone(pod.record)) {
    co_await Release(uid, "its network namespace is gone");
    co_return;
  }
  pod.network->TrimIdle();
  const NodePodRef wanted = parts_.node_pods.Find(PodUid(uid));
  const bool leaves = wanted == nullptr ? leave_all_ || pod.leaving() : !MayStay(*wanted);
  if (leaves) co_return co_await Leave(uid);
  if (pod.leaving()) Stay(pod);
  absl::Status status = co_await parts_.capture.Verify(pod);
  if (!status.ok()) {
    LOG_WARN("pod.gap", KV("pod", pod.record.PodName()), KV("missing", status));
    status = co_await parts_.capture.Repair(pod);
    if (status.ok()) ++stats_.repaired_total;
  }
  Entry* entry = Find(uid);
  entry->problem = status.ok() ? "" : std::string(status.message());
  TakeInboundWhenAnnounced(*entry);
}

Task<void> PodRegistry::LookForStrays() {
  std::vector<ino_t> netns;
  for (const auto& [uid, entry] : pods_) netns.push_back(entry.pod->record.netns.inode);
  StraySearch search(std::move(netns), parts_.cgroup);
  for (bool more = true; more;) {
    absl::AnyInvocable<void()> look = [&] { more = search.Step(kProcessesPerStep); };
    co_await parts_.netns_thread.RunOutside(parts_.loop, std::move(look));
  }
  const std::vector<StrayProcess>& found = search.found();
  stats_.stray_processes = found.size();
  for (auto& [uid, entry] : pods_) {
    const bool had = !entry.strays.empty();
    entry.strays.clear();
    for (const StrayProcess& stray : found) {
      if (stray.netns == entry.pod->record.netns.inode) entry.strays.push_back(stray);
    }
    if (had || entry.strays.empty()) continue;
    LOG_WARN("pod.process.outside", KV("pod", entry.pod->record.PodName()),
             KV("pid", entry.strays.front().pid), KV("name", entry.strays.front().name),
             KV("cgroup", parts_.cgroup));
  }
}

Task<void> PodRegistry::Reconcile() {
  co_await FollowProcesses();
  std::vector<std::string> uids;
  for (const auto& [uid, entry] : pods_) uids.push_back(uid);
  for (std::string& uid : uids) co_await ReconcilePod(std::move(uid));
  co_await AdoptTheRest();
  co_await CaptureRunningPods();
  co_await LookForStrays();
  CountGaps();
  TellProblems();
}

// Those who are told of the set of captured pods are told what is missing as well.
void PodRegistry::TellProblems() {
  std::map<std::string, std::string> problems;
  for (const auto& [uid, entry] : pods_) {
    if (!entry.problem.empty()) problems.emplace(uid, entry.problem);
  }
  for (UncapturedPod& pod : Uncaptured())
    problems.emplace(std::move(pod.uid), std::move(pod.problem));
  if (std::exchange(told_, problems) != problems) Changed();
}

}  // namespace heddle::agent
