// What PodRegistry does about pods that run already: takes in place those that the controller says
// are enrolled, and lets those leave that are enrolled no more.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/node/pod_registry.h"
#include "lib/base/log.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(10);
// While a pod's capture waits for its announcement.
constexpr absl::Duration kAnnouncementLookInterval = absl::Seconds(1);
// Without an announcement (the controller is away) its inbound connections are taken all the same.
constexpr absl::Duration kAnnouncementWait = absl::Seconds(10);
// Each attempt to capture may be felt by the pod.
constexpr absl::Duration kPauseMin = absl::Seconds(10);
constexpr absl::Duration kPauseMax = absl::Minutes(3);
// Dials and ADDs wait for the same thread: a step takes some milliseconds at most.
constexpr size_t kCgroupsPerStep = 32;
// The interface of which Kubernetes knows; a DEL of another one does not end the pod.
constexpr char kFirstInterface[] = "eth0";

absl::Status CheckPodAddresses(const NodePod& pod, const std::vector<io::IpAddress>& found) {
  if (found.empty())
    return absl::FailedPreconditionError("the pod's network namespace has no address");
  for (const io::IpAddress& address : pod.pod_ips) {
    if (std::find(found.begin(), found.end(), address) != found.end()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("address ", address.ToString(),
                     " of the pod's status is not inside the network namespace of its processes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Duration PodRegistry::NextLook() const {
  if (leave_all_) return kAnnouncementLookInterval;
  const bool waits = std::any_of(pods_.begin(), pods_.end(),
                                 [](const auto& pod) { return pod.second.pod->inbound_waits; });
  return waits ? kAnnouncementLookInterval : kLookInterval;
}

bool PodRegistry::IsKnown(const std::string& uid) const {
  return pods_.contains(uid) || unadopted_.contains(uid) || busy_.contains(uid);
}

bool PodRegistry::StateChanged() {
  bool differs = false;
  for (auto& [uid, entry] : pods_) {
    ApplyState(*entry.pod);
    const NodePodRef pod = parts_.node_pods.Find(PodUid(uid));
    differs |= pod != nullptr && pod->in_mesh() == entry.pod->leaving();
  }
  // What has no address yet is being started, and its ADD captures it.
  parts_.node_pods.state()->node_pods().ForEach([&](const PodUid& id, const NodePodRef& pod) {
    const std::string& uid = id.ToString();
    if (!pod->in_mesh()) rightly_outside_.insert(uid);
    differs |= pod->in_mesh() && !pod->pod_ips.empty() && !IsKnown(uid) &&
               !attempts_.contains(uid) && !ended_.contains(uid);
  });
  return differs && !leave_all_;  // Then it is looked at often enough.
}

std::vector<UncapturedPod> PodRegistry::Uncaptured() const {
  std::vector<UncapturedPod> list;
  for (const auto& [uid, attempt] : attempts_) {
    if (const NodePodRef pod = parts_.node_pods.Find(PodUid(uid)))
      list.push_back({uid, pod->name_space, pod->name, attempt.problem});
  }
  std::sort(list.begin(), list.end(), [](const UncapturedPod& a, const UncapturedPod& b) {
    return std::tie(a.namespace_name, a.name) < std::tie(b.namespace_name, b.name);
  });
  return list;
}

// ---- Leaving ----

// From its first call for a pod on, new connections pass untouched in both directions, and whoever
// still comes by HBONE is served. So nobody needs to know when all others have heard.
Task<void> PodRegistry::Leave(std::string uid) {
  LivePod& pod = *Find(uid)->pod;
  if (!pod.leaving()) {
    LOG_INFO("pod.leaving", KV("pod", pod.record.PodName()), KV("uid", uid));
    if (const absl::Status begun = parts_.capture.BeginRelease(pod); !begun.ok())
      LOG_WARN("pod.release.record", KV("pod", uid), KV("error", begun));
    Entry& entry = *Find(uid);
    entry.left_at = parts_.loop.Now();
    entry.problem.clear();
    co_return Changed();
  }
  const LeaveTimes& times = leave_all_ ? *leave_all_ : parts_.leave;
  const absl::Duration age = parts_.loop.Now() - Find(uid)->left_at;
  if (age < times.announce) co_return;
  if (age < times.drain_max && co_await parts_.capture.CountConnections(pod) > 0) co_return;
  rightly_outside_.insert(uid);
  co_await Release(uid, "not enrolled");
}

void PodRegistry::Stay(LivePod& pod) {
  LOG_INFO("pod.stays", KV("pod", pod.record.PodName()), KV("uid", pod.record.uid));
  if (const absl::Status put = parts_.capture.CancelRelease(pod); !put.ok())
    LOG_WARN("pod.release.record", KV("pod", pod.record.uid), KV("error", put));
  Changed();
}

// ---- Entering ----

// Announced at two looks, so that others have heard of it as well: from here on plaintext is a
// matter of policy, and may be refused.
void PodRegistry::TakeInboundWhenAnnounced(Entry& entry) {
  LivePod& pod = *entry.pod;
  if (!pod.inbound_waits) return;
  const WorkloadRef workload =
      parts_.node_pods.state()->FindWorkload(WorkloadUid(pod.record.workload_uid));
  const bool before = std::exchange(
      entry.announced, workload != nullptr && workload->protocol == TunnelProtocol::kHbone);
  if (!before && parts_.loop.Now() - entry.since < kAnnouncementWait) return;
  const absl::Status taken = parts_.capture.TakeInbound(pod);
  if (!taken.ok()) entry.problem = std::string(taken.message());
}

absl::flat_hash_set<std::string> PodRegistry::Missing() const {
  absl::flat_hash_set<std::string> uids;
  if (parts_.node_pods.state() == nullptr || leave_all_) return uids;
  parts_.node_pods.state()->node_pods().ForEach([&](const PodUid& id, const NodePodRef& pod) {
    if (pod->in_mesh() && !IsKnown(id.ToString())) uids.insert(id.ToString());
  });
  return uids;
}

// What is remembered of pods that are no longer missing, or listed.
void PodRegistry::ForgetAttempts() {
  const absl::flat_hash_set<std::string> missing = Missing();
  absl::erase_if(attempts_, [&](const auto& each) { return !missing.contains(each.first); });
  const auto is_listed = [this](const std::string& uid) {
    return parts_.node_pods.Find(PodUid(uid)) != nullptr;
  };
  absl::erase_if(ended_, [&](const auto& each) { return !is_listed(each.first); });
  absl::erase_if(rightly_outside_, [&](const std::string& uid) { return !is_listed(uid); });
}

Task<void> PodRegistry::Search(PodSearch& search) {
  for (bool more = true; more;) {
    absl::AnyInvocable<void()> look = [&] { more = search.Step(kCgroupsPerStep); };
    co_await parts_.netns_thread.RunOutside(parts_.loop, std::move(look));
  }
}

Task<void> PodRegistry::CaptureRunningPods() {
  ForgetAttempts();
  absl::flat_hash_set<std::string> due = Missing();
  absl::erase_if(due, [this](const std::string& uid) {
    const auto attempt = attempts_.find(uid);
    return attempt != attempts_.end() && attempt->second.next > parts_.loop.Now();
  });
  if (due.empty()) co_return;
  PodSearch search(due, parts_.cgroup);
  co_await Search(search);
  for (const std::string& uid : due) co_await TryRunning(uid, search);
}

Task<void> PodRegistry::TryRunning(std::string uid, PodSearch& search) {
  const NodePodRef pod = parts_.node_pods.Find(PodUid(uid));
  if (pod == nullptr || !MayStay(*pod) || IsKnown(uid)) co_return;
  const auto ended = ended_.find(uid);
  const auto place = search.found().find(uid);
  if (place == search.found().end()) {
    // Being started, or ended.
    if (pod->pod_ips.empty() || ended != ended_.end()) co_return;
    co_return NoteUncaptured(*pod,
                             absl::StrCat("no process of it was found below ", parts_.cgroup,
                                          " in a cgroup with the pod's UID in its name"),
                             false);
  }
  if (ended != ended_.end() && ended->second == place->second.netns) co_return;
  const absl::Status captured = co_await CaptureInPlace(pod, std::move(place->second));
  if (!captured.ok()) NoteUncaptured(*pod, std::string(captured.message()), true);
}

// The reason is said once.
void PodRegistry::NoteUncaptured(const NodePod& pod, std::string problem, bool felt) {
  Attempt& attempt = attempts_[pod.uid.ToString()];
  attempt.pause = felt ? std::clamp(2 * attempt.pause, kPauseMin, kPauseMax) : absl::ZeroDuration();
  attempt.next = parts_.loop.Now() + attempt.pause;
  if (attempt.problem == problem) return;
  attempt.problem = std::move(problem);
  LOG_WARN("pod.uncaptured", KV("pod", absl::StrCat(pod.name_space, "/", pod.name)),
           KV("uid", pod.uid.ToString()), KV("why", attempt.problem));
}

Task<absl::Status> PodRegistry::CaptureInPlace(NodePodRef pod, PodPlace place) {
  const std::string uid = pod->uid.ToString();
  CO_TRY_STATUS(CheckNetns(uid, place.netns));
  const Busy busy(*this, uid, {place.netns, "", kFirstInterface});
  const int netns = place.netns_fd.get();
  const auto inside = co_await parts_.capture.LookInside(netns);
  CO_TRY_STATUS(inside.status());
  CO_TRY_STATUS(CheckPodAddresses(*pod, inside->addresses));
  const auto open = co_await parts_.capture.LookAtSockets(netns);
  CO_TRY_STATUS(open.status());
  CaptureRecord record = MakeRecord(*pod);
  record.ifname = kFirstInterface;
  record.netns_path = FindNetnsMount(place.netns);
  if (record.netns_path.empty()) record.netns_path = Process(place.pid).NetnsPath();
  record.netns = place.netns;
  record.netns_cookie = inside->cookie;
  record.addresses = inside->addresses;
  CO_TRY_STATUS(parts_.records.Save(record));
  auto live = co_await parts_.capture.CaptureRunning(record, std::move(place.netns_fd), pod);
  if (!live.ok()) {
    RemoveRecord(uid);
    co_return live.status();
  }
  // Now with the settings from before.
  const absl::Status saved = parts_.records.Save((*live)->record);
  if (!saved.ok()) LOG_WARN("pod.record.save", KV("uid", uid), KV("error", saved));
  const bool faster = !rightly_outside_.contains(uid);
  LOG_INFO("pod.captured.running", KV("pod", record.PodName()), KV("uid", uid),
           KV("netns", record.netns_path), KV("open_connections", *open), KV("faster", faster));
  ++stats_.captured_total;
  ++stats_.captured_running_total;
  if (faster) ++stats_.faster_total;
  stats_.open_before_capture_total += *open;
  Insert(*std::move(live));
  co_return absl::OkStatus();
}

// The netns of a pod that was captured in place may be known by a process only. When that one has
// ended, another one of the pod leads there.
Task<void> PodRegistry::FollowProcesses() {
  absl::flat_hash_map<std::string, CaptureRecord*> lost;
  const auto look_at = [&](CaptureRecord& record) {
    if (record.in_place() && !busy_.contains(record.uid) &&
        absl::IsFailedPrecondition(CheckNetnsPath(record.netns_path, record.netns)))
      lost[record.uid] = &record;
  };
  for (auto& [uid, entry] : pods_) look_at(entry.pod->record);
  for (auto& [uid, record] : unadopted_) look_at(record);
  if (lost.empty()) co_return;
  absl::flat_hash_set<std::string> uids;
  for (const auto& [uid, record] : lost) uids.insert(uid);
  PodSearch search(uids, parts_.cgroup);
  co_await Search(search);
  for (auto& [uid, place] : search.found()) {
    // Asked again: commands have run meanwhile.
    CaptureRecord* record = nullptr;
    if (Entry* entry = Find(uid)) record = &entry->pod->record;
    if (const auto it = unadopted_.find(uid); it != unadopted_.end()) record = &it->second;
    if (record == nullptr || busy_.contains(uid) || record->netns != place.netns) continue;
    record->netns_path = Process(place.pid).NetnsPath();
    const absl::Status saved = parts_.records.Save(*record);
    if (!saved.ok()) LOG_WARN("pod.record.save", KV("uid", uid), KV("error", saved));
  }
}

}  // namespace heddle::agent
