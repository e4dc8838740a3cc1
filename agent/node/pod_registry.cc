#include "agent/node/pod_registry.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "agent/policy/authorizer.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/cni/error.h"

namespace heddle::agent {
namespace {

// Between the wait for the controller and the plugin's limit there must be time to capture.
constexpr absl::Duration kPodRecordWait = absl::Seconds(6);

cni::Reply Success() { return {}; }

cni::Reply Failure(cni::ErrorCode code, std::string sentence) {
  return {.code = static_cast<int>(code), .msg = std::move(sentence), .details = {}};
}

std::string NameOf(const CaptureRecord& record) {
  return absl::StrCat(record.namespace_name, "/", record.name);
}

absl::Status CheckAddresses(const std::vector<std::string>& wanted,
                            const std::vector<io::IpAddress>& found) {
  if (found.empty())
    return absl::FailedPreconditionError("the pod's network namespace has no address");
  for (const std::string& text : wanted) {
    const auto address = io::IpAddress::Parse(text);
    if (!address || std::find(found.begin(), found.end(), *address) == found.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "address ", text,
          " of the previous plugin's result is not inside the pod's network namespace"));
    }
  }
  return absl::OkStatus();
}

// Only what was looked at can be gone: a node that is out of descriptors must not let its pods go.
bool NetnsIsGone(const CaptureRecord& record) {
  const auto fd = OpenNetns(record.netns_path);
  if (!fd.ok()) return absl::IsNotFound(fd.status());
  const auto inode = IdentifyNetns(fd->get());
  return !inode.ok() || *inode != record.netns;
}

// Whether the kernel may refuse all plaintext to the pod. While that is not known, the proxy decides.
bool PlaintextIsDenied(const State& state, const std::string& workload_uid) {
  const WorkloadRef workload = state.FindWorkload(WorkloadUid(workload_uid));
  return workload != nullptr && state.ready() && DeniesAllPlaintext(state, workload.get());
}

}  // namespace

// Keeps other commands of the same pod out until it goes.
class PodRegistry::Busy {
 public:
  Busy(PodRegistry& registry, std::string uid) : registry_(registry), uid_(std::move(uid)) {
    registry_.busy_.insert(uid_);
  }
  ~Busy() {
    registry_.busy_.erase(uid_);
    registry_.idle_.NotifyAll();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  PodRegistry& registry_;
  const std::string uid_;
};

PodRegistry::~PodRegistry() { CHECK(busy_.empty()); }

PodRegistry::Entry* PodRegistry::Find(std::string_view uid) {
  const auto it = pods_.find(std::string(uid));
  return it == pods_.end() ? nullptr : &it->second;
}

void PodRegistry::Changed() {
  if (on_change_) on_change_();
}

Task<cni::Reply> PodRegistry::Handle(cni::Request request, UniqueFd netns, StopToken stop) {
  switch (request.command) {
    case cni::Command::kAdd: co_return co_await Add(request, std::move(netns), stop);
    case cni::Command::kCheck: co_return co_await Check(request);
    case cni::Command::kDel: co_return co_await Delete(request);
    case cni::Command::kGc: co_return co_await CollectGarbage(request);
    case cni::Command::kStatus: co_return Success();
    default: co_return Failure(cni::ErrorCode::kDecode, "the agent does not know this command");
  }
}

Task<cni::Reply> PodRegistry::Add(const cni::Request& request, UniqueFd netns, StopToken stop) {
  // Without a pod UID the runtime is not a Kubernetes one, and nothing can be enrolled.
  if (request.pod.uid.empty()) co_return Success();
  const std::string name = absl::StrCat(request.pod.pod_namespace, "/", request.pod.name);
  while (busy_.contains(request.pod.uid)) {
    if (!co_await idle_.Wait(stop))
      co_return Failure(cni::ErrorCode::kTryAgainLater, "another command of this pod is under way");
  }
  const Busy busy(*this, request.pod.uid);
  Deadline patience(parts_.loop, stop, kPodRecordWait);
  const NodePodRef pod =
      co_await parts_.node_pods.WaitFor(PodUid(request.pod.uid), patience.token());
  if (pod == nullptr) {
    co_return Failure(cni::ErrorCode::kTryAgainLater,
                      absl::StrCat("the controller has not told this node about pod ", name,
                                   " (uid ", request.pod.uid,
                                   "); is the controller running and reachable from the agent?"));
  }
  if (pod->name_space != request.pod.pod_namespace || pod->name != request.pod.name) {
    co_return Failure(cni::ErrorCode::kBadEnvironment,
                      absl::StrCat("uid ", request.pod.uid, " belongs to pod ", pod->name_space,
                                   "/", pod->name, ", not to ", name));
  }
  if (!pod->enrolled || pod->host_network) co_return Success();
  co_return co_await CaptureFor(request, std::move(netns), pod);
}

absl::StatusOr<CaptureRecord> PodRegistry::MakeRecord(const cni::Request& request,
                                                      const NodePod& pod,
                                                      const NetnsInode& netns) const {
  if (netns == parts_.host_netns)
    return absl::InvalidArgumentError("the network namespace is the node's own");
  for (const auto& [uid, entry] : pods_) {
    if (uid != request.pod.uid && entry.pod->record.netns == netns) {
      return absl::InvalidArgumentError(
          absl::StrCat("the network namespace belongs to pod ", NameOf(entry.pod->record)));
    }
  }
  CaptureRecord record;
  record.uid = request.pod.uid;
  record.namespace_name = pod.name_space;
  record.name = pod.name;
  record.service_account = pod.identity.service_account();
  record.trust_domain = pod.identity.trust_domain();
  record.workload_uid = pod.workload.ToString();
  record.container_id = request.container_id;
  record.network = request.network;
  record.ifname = request.ifname;
  record.netns_path = request.netns;
  record.netns = netns;
  record.captured_unix_ns = absl::ToUnixNanos(parts_.clock.Wall());
  return record;
}

Task<cni::Reply> PodRegistry::CaptureFor(const cni::Request& request, UniqueFd netns,
                                         NodePodRef pod) {
  const auto inode = IdentifyNetns(netns.get());
  if (!inode.ok())
    co_return Failure(cni::ErrorCode::kBadEnvironment, std::string(inode.status().message()));
  if (const Entry* entry = Find(request.pod.uid)) {
    const bool same = entry->pod->record.netns == *inode;
    if (same && (co_await parts_.capture.Verify(*entry->pod)).ok()) co_return Success();
  }
  auto record = MakeRecord(request, *pod, *inode);
  if (!record.ok())
    co_return Failure(cni::ErrorCode::kBadEnvironment, std::string(record.status().message()));
  const auto inside = co_await parts_.capture.LookInside(netns.get());
  if (!inside.ok()) co_return Failure(cni::ErrorCode::kIo, std::string(inside.status().message()));
  const absl::Status addresses = CheckAddresses(request.ips, inside->addresses);
  if (!addresses.ok())
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(addresses.message()));
  // A new sandbox of the same pod, or a capture that broke. What is refused above releases nothing.
  co_await Release(request.pod.uid, "captured again");
  record->netns_cookie = inside->cookie;
  record->addresses = inside->addresses;
  auto live = co_await parts_.capture.Capture(*record, std::move(netns), pod);
  if (!live.ok()) {
    LOG_WARN("pod.capture.failed", KV("pod", NameOf(*record)), KV("error", live.status()));
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(live.status().message()));
  }
  if (const absl::Status saved = parts_.records.Save((*live)->record); !saved.ok()) {
    co_await parts_.capture.Release(*std::move(live));
    co_return Failure(cni::ErrorCode::kIo, std::string(saved.message()));
  }
  LOG_INFO("pod.captured", KV("pod", NameOf(*record)), KV("uid", record->uid),
           KV("netns", record->netns_path));
  const auto before = unadopted_.find(record->uid);
  if (before != unadopted_.end()) {
    // Of a sandbox that was replaced; its record's file is the new one's now.
    if (before->second.netns_cookie != record->netns_cookie) parts_.capture.Forget(before->second);
    unadopted_.erase(before);
  }
  ++stats_.captured_total;
  Insert(*std::move(live));
  co_return Success();
}

Task<cni::Reply> PodRegistry::Check(const cni::Request& request) {
  const Entry* entry = Find(request.pod.uid);
  if (entry == nullptr) {
    const NodePodRef pod = parts_.node_pods.Find(PodUid(request.pod.uid));
    if (request.pod.uid.empty() || (pod != nullptr && (!pod->enrolled || pod->host_network)))
      co_return Success();
    co_return Failure(cni::ErrorCode::kVerificationFailed, "the pod is not captured");
  }
  if (entry->pod->record.container_id != request.container_id) {
    co_return Failure(cni::ErrorCode::kUnknownContainer,
                      "the pod was captured with another container");
  }
  const absl::Status verified = co_await parts_.capture.Verify(*entry->pod);
  if (!verified.ok())
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(verified.message()));
  co_return Success();
}

Task<cni::Reply> PodRegistry::Delete(const cni::Request& request) {
  for (const auto& [uid, entry] : pods_) {
    const CaptureRecord& record = entry.pod->record;
    if (record.container_id != request.container_id || record.ifname != request.ifname) continue;
    std::string captured = uid;  // The entry goes under way.
    if (busy_.contains(captured)) break;
    const Busy busy(*this, captured);
    co_await Release(captured, "DEL");
    break;
  }
  co_return Success();
}

Task<cni::Reply> PodRegistry::CollectGarbage(const cni::Request& request) {
  const auto valid = [&request](const CaptureRecord& record) {
    return std::any_of(request.attachments.begin(), request.attachments.end(),
                       [&](const cni::Attachment& attachment) {
                         return attachment.container_id == record.container_id &&
                                attachment.ifname == record.ifname;
                       });
  };
  std::vector<std::string> stale;
  for (const auto& [uid, entry] : pods_) {
    const CaptureRecord& record = entry.pod->record;
    if (record.network == request.network && !valid(record) && !busy_.contains(uid))
      stale.push_back(uid);
  }
  for (std::string& uid : stale) {
    if (busy_.contains(uid)) continue;  // Since the last one's release; the next GC finds it.
    const Busy busy(*this, uid);
    co_await Release(uid, "GC");
  }
  co_return Success();
}

Task<void> PodRegistry::Release(std::string uid, std::string_view why) {
  const auto it = pods_.find(uid);
  if (it == pods_.end()) co_return;
  std::unique_ptr<LivePod> pod = std::move(it->second.pod);
  pods_.erase(it);
  LOG_INFO("pod.released", KV("pod", NameOf(pod->record)), KV("uid", uid), KV("why", why));
  if (const absl::Status removed = parts_.records.Remove(uid); !removed.ok()) {
    LOG_WARN("pod.record.remove", KV("uid", uid), KV("error", removed));
  }
  ++stats_.released_total;
  Changed();
  co_await parts_.capture.Release(std::move(pod));
}

void PodRegistry::ForgetGone(const CaptureRecord& record) {
  LOG_INFO("pod.gone", KV("pod", NameOf(record)), KV("uid", record.uid));
  parts_.capture.Forget(record);
  const absl::Status removed = parts_.records.Remove(record.uid);
  if (!removed.ok()) LOG_WARN("pod.record.remove", KV("uid", record.uid), KV("error", removed));
}

// The state may have changed while the pod was being captured, or, when it is adopted, be another
// one than that by which the agent before us wrote the kernel's record.
void PodRegistry::Insert(std::unique_ptr<LivePod> pod) {
  ApplyState(*pod);
  const std::string uid = pod->record.uid;
  pods_[uid] = Entry{std::move(pod), "", {}};
  Changed();
}

Task<void> PodRegistry::Adopt(CaptureRecord record) {
  const std::string uid = record.uid;
  const Busy busy(*this, uid);
  unadopted_.erase(uid);
  if (NetnsIsGone(record)) co_return ForgetGone(record);
  auto netns = OpenNetns(record.netns_path);
  const NodePodRef settings = parts_.node_pods.Find(PodUid(uid));
  absl::StatusOr<std::unique_ptr<LivePod>> live = nullptr;
  if (netns.ok()) {
    live = co_await parts_.capture.Capture(record, *std::move(netns), settings);
  } else {
    live = netns.status();
  }
  if (!live.ok()) {
    LOG_ERROR("pod.adopt.failed", KV("pod", NameOf(record)), KV("uid", uid),
              KV("error", live.status()));
    unadopted_.emplace(uid, std::move(record));
    co_return;
  }
  LOG_INFO("pod.adopted", KV("pod", NameOf(record)), KV("uid", uid));
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
  for (CaptureRecord& record : records) co_await Adopt(std::move(record));
  stats_.gaps = unadopted_.size();
}

Task<void> PodRegistry::ReconcilePod(std::string uid) {
  if (busy_.contains(uid) || Find(uid) == nullptr) co_return;
  const Busy busy(*this, uid);
  LivePod& pod = *Find(uid)->pod;
  if (NetnsIsGone(pod.record)) {
    co_await Release(uid, "its network namespace is gone");
    co_return;
  }
  pod.network->TrimIdle();
  absl::Status status = co_await parts_.capture.Verify(pod);
  if (!status.ok()) {
    LOG_WARN("pod.gap", KV("pod", NameOf(pod.record)), KV("missing", status));
    status = co_await parts_.capture.Repair(pod);
    if (status.ok()) ++stats_.repaired_total;
  }
  Entry* entry = Find(uid);
  entry->problem = status.ok() ? "" : std::string(status.message());
}

Task<void> PodRegistry::LookForStrays() {
  std::vector<ino_t> netns;
  for (const auto& [uid, entry] : pods_) netns.push_back(entry.pod->record.netns.inode);
  std::vector<StrayProcess> found;
  absl::AnyInvocable<void()> look = [&] { found = FindStrayProcesses(netns, parts_.cgroup); };
  co_await parts_.netns_thread.RunOutside(parts_.loop, std::move(look));
  stats_.stray_processes = found.size();
  for (auto& [uid, entry] : pods_) {
    const bool had = !entry.strays.empty();
    entry.strays.clear();
    for (const StrayProcess& stray : found) {
      if (stray.netns == entry.pod->record.netns.inode) entry.strays.push_back(stray);
    }
    if (had || entry.strays.empty()) continue;
    LOG_WARN("pod.process.outside", KV("pod", NameOf(entry.pod->record)),
             KV("pid", entry.strays.front().pid), KV("name", entry.strays.front().name),
             KV("cgroup", parts_.cgroup));
  }
}

Task<void> PodRegistry::Reconcile() {
  std::vector<std::string> uids;
  for (const auto& [uid, entry] : pods_) uids.push_back(uid);
  for (std::string& uid : uids) co_await ReconcilePod(std::move(uid));
  co_await AdoptTheRest();
  co_await LookForStrays();
  stats_.gaps = unadopted_.size() + static_cast<uint64_t>(std::count_if(
      pods_.begin(), pods_.end(), [](const auto& item) { return !item.second.problem.empty(); }));
}

void PodRegistry::ApplyState(LivePod& pod) {
  const NodePodRef settings = parts_.node_pods.Find(PodUid(pod.record.uid));
  if (settings == nullptr) return;
  const absl::Status updated =
      parts_.capture.Update(pod, settings->interception,
                            PlaintextIsDenied(*parts_.node_pods.state(), pod.record.workload_uid));
  if (!updated.ok())
    LOG_WARN("pod.settings.failed", KV("pod", NameOf(pod.record)), KV("error", updated));
}

void PodRegistry::StateChanged() {
  for (auto& [uid, entry] : pods_) ApplyState(*entry.pod);
}

Task<void> PodRegistry::Abandon(PodObserver& proxy) {
  std::vector<std::string> uids;
  for (const auto& [uid, entry] : pods_) uids.push_back(uid);
  for (const std::string& uid : uids) co_await proxy.PodReleased(uid);
  pods_.clear();
}

std::vector<PodStatus> PodRegistry::List() const {
  std::vector<PodStatus> list;
  for (const auto& [uid, entry] : pods_) {
    list.push_back({entry.pod->record, entry.problem.empty(), entry.problem, entry.strays});
  }
  for (const auto& [uid, record] : unadopted_)
    list.push_back({record, false, "captured, but not served: could not be adopted", {}});
  std::sort(list.begin(), list.end(), [](const PodStatus& a, const PodStatus& b) {
    return NameOf(a.record) < NameOf(b.record);
  });
  return list;
}

}  // namespace heddle::agent
