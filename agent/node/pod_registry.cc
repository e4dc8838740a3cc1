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

cni::Reply UnderWay() {
  return Failure(cni::ErrorCode::kTryAgainLater, "another command of this pod is under way");
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

// Whether the kernel may refuse all plaintext to the pod. While that is not known, the proxy
// decides.
bool PlaintextIsDenied(const State& state, const std::string& workload_uid) {
  const WorkloadRef workload = state.FindWorkload(WorkloadUid(workload_uid));
  return workload != nullptr && state.ready() && DeniesAllPlaintext(state, workload.get());
}

}  // namespace

PodRegistry::Busy::Busy(PodRegistry& registry, std::string uid, Command command)
    : registry_(registry), uid_(std::move(uid)) {
  CHECK(registry_.busy_.emplace(uid_, std::move(command)).second);
}

PodRegistry::Busy::Busy(PodRegistry& registry, const CaptureRecord& record)
    : Busy(registry, record.uid, {record.netns, record.container_id, record.ifname}) {}

PodRegistry::Busy::~Busy() {
  registry_.busy_.erase(uid_);
  registry_.idle_.NotifyAll();
}

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
    case cni::Command::kCheck: co_return co_await Check(request, stop);
    case cni::Command::kDel: co_return co_await Delete(request, stop);
    case cni::Command::kGc: co_return co_await CollectGarbage(request);
    case cni::Command::kStatus: co_return Success();
    default: co_return Failure(cni::ErrorCode::kDecode, "the agent does not know this command");
  }
}

// True when no command of the pod is under way: then the caller's may begin, before its next wait.
Task<bool> PodRegistry::WaitIdle(std::string uid, StopToken stop) {
  while (busy_.contains(uid)) {
    if (!co_await idle_.Wait(stop)) co_return false;
  }
  co_return true;
}

bool PodRegistry::IsExempt(std::string_view name_space) const {
  return std::ranges::find(parts_.exempt_namespaces, name_space) != parts_.exempt_namespaces.end();
}

Task<cni::Reply> PodRegistry::Add(const cni::Request& request, UniqueFd netns, StopToken stop) {
  // What names no pod at all is of no Kubernetes: nothing can be enrolled.
  const bool of_kubernetes = !request.pod.pod_namespace.empty() || !request.pod.name.empty();
  if ((request.pod.uid.empty() && !of_kubernetes) || leave_all_) co_return Success();
  const std::string name = absl::StrCat(request.pod.pod_namespace, "/", request.pod.name);
  if (request.pod.uid.empty()) {
    co_return Failure(cni::ErrorCode::kBadEnvironment,
                      absl::StrCat("the container runtime does not give the uid of pod ", name,
                                   " (K8S_POD_UID in CNI_ARGS); a newer one does"));
  }
  if (!co_await WaitIdle(request.pod.uid, stop)) co_return UnderWay();
  const Busy busy(*this, request.pod.uid, {{}, request.container_id, request.ifname});
  // Without this neither a controller nor what it stands on could start while no controller runs.
  if (parts_.node_pods.Find(PodUid(request.pod.uid)) == nullptr && IsExempt(request.pod.pod_namespace)) {
    co_return Success();
  }
  const MonotonicTime began = parts_.loop.Now();
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
  if (!MayStay(*pod)) co_return Success();
  const MonotonicTime known = parts_.loop.Now();
  cni::Reply reply = co_await CaptureFor(request, std::move(netns), pod);
  // What the mesh adds to the start of a pod: the wait is for the controller's word of it.
  LOG_INFO("cni.add", KV("pod", name), KV("code", reply.code),
           KV("waited", absl::FormatDuration(known - began)),
           KV("took", absl::FormatDuration(parts_.loop.Now() - known)));
  co_return reply;
}

absl::Status PodRegistry::CheckNetns(const std::string& uid, const NetnsInode& netns) const {
  if (netns == parts_.host_netns)
    return absl::InvalidArgumentError("the network namespace is the node's own");
  const auto taken = [](std::string_view owner) {
    return absl::InvalidArgumentError(
        absl::StrCat("the network namespace belongs to pod ", std::string(owner)));
  };
  for (const auto& [other, entry] : pods_) {
    if (other != uid && entry.pod->record.netns == netns) return taken(entry.pod->record.PodName());
  }
  for (const auto& [other, record] : unadopted_) {
    if (other != uid && record.netns == netns) return taken(record.PodName());
  }
  for (const auto& [other, command] : busy_) {
    if (other != uid && command.netns == netns) return taken(absl::StrCat("with uid ", other));
  }
  return absl::OkStatus();
}

CaptureRecord PodRegistry::MakeRecord(const NodePod& pod) const {
  CaptureRecord record;
  record.uid = pod.uid.ToString();
  record.namespace_name = pod.name_space;
  record.name = pod.name;
  record.service_account = pod.identity.service_account();
  record.trust_domain = pod.identity.trust_domain();
  record.workload_uid = pod.workload.ToString();
  record.captured_unix_ns = absl::ToUnixNanos(parts_.clock.Wall());
  return record;
}

Task<cni::Reply> PodRegistry::CaptureFor(const cni::Request& request, UniqueFd netns,
                                         NodePodRef pod) {
  const std::string& uid = request.pod.uid;
  const auto inode = IdentifyNetns(netns.get());
  if (!inode.ok())
    co_return Failure(cni::ErrorCode::kBadEnvironment, std::string(inode.status().message()));
  absl::Status fit = CheckNetns(uid, *inode);
  // By its path a pod is seen to live: one that leads elsewhere would soon end the capture.
  if (fit.ok()) fit = CheckNetnsPath(request.netns, *inode);
  if (!fit.ok()) co_return Failure(cni::ErrorCode::kBadEnvironment, std::string(fit.message()));
  busy_[uid].netns = *inode;
  const auto inside = co_await parts_.capture.LookInside(netns.get());
  if (!inside.ok()) co_return Failure(cni::ErrorCode::kIo, std::string(inside.status().message()));
  const absl::Status addresses = CheckAddresses(request.ips, inside->addresses);
  if (!addresses.ok())
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(addresses.message()));
  CaptureRecord record = MakeRecord(*pod);
  record.container_id = request.container_id;
  record.network = request.network;
  record.ifname = request.ifname;
  record.netns_path = request.netns;
  record.netns = *inode;
  record.netns_cookie = inside->cookie;
  record.addresses = inside->addresses;
  if (const Entry* entry = Find(uid)) {
    if (entry->pod->record.netns_cookie == record.netns_cookie)
      co_return co_await CaptureAgain(std::move(record), pod);
    co_await Release(uid, "a new sandbox takes its place");
  }
  co_return co_await CaptureNew(std::move(record), std::move(netns), pod);
}

// The record is on disk before the kernel has anything: whatever an agent that dies now leaves, the
// next one finds.
Task<cni::Reply> PodRegistry::CaptureNew(CaptureRecord record, UniqueFd netns, NodePodRef pod) {
  const auto before = unadopted_.find(record.uid);
  const bool running =
      before != unadopted_.end() && before->second.netns_cookie == record.netns_cookie;
  if (running) record.sysctls_before = before->second.sysctls_before;
  // Another one is of a sandbox that was replaced.
  if (before != unadopted_.end() && !running) ForgetGone(before->second);
  if (const absl::Status saved = parts_.records.Save(record); !saved.ok())
    co_return Failure(cni::ErrorCode::kIo, std::string(saved.message()));
  if (!running) unadopted_.erase(record.uid);
  auto live = running ? co_await parts_.capture.Adopt(record, std::move(netns), pod)
                      : co_await parts_.capture.Capture(record, std::move(netns), pod);
  if (live.ok()) {
    // Now with the settings from before.
    const absl::Status saved = parts_.records.Save((*live)->record);
    if (!saved.ok()) LOG_WARN("pod.record.save", KV("uid", record.uid), KV("error", saved));
  } else {
    LOG_WARN("pod.capture.failed", KV("pod", record.PodName()), KV("error", live.status()));
    if (running) {
      unadopted_[record.uid] = record;
    } else {
      RemoveRecord(record.uid);
    }
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(live.status().message()));
  }
  unadopted_.erase(record.uid);
  LOG_INFO("pod.captured", KV("pod", record.PodName()), KV("uid", record.uid),
           KV("netns", record.netns_path));
  ++stats_.captured_total;
  Insert(*std::move(live));
  co_return Success();
}

// ADD of a pod that is captured in this very netns: a runtime's second try, or another interface.
// Its processes may run already, so the kernel's record stays whatever happens.
Task<cni::Reply> PodRegistry::CaptureAgain(CaptureRecord record, NodePodRef pod) {
  LivePod& live = *Find(record.uid)->pod;
  const CaptureRecord& before = live.record;
  record.captured_unix_ns = before.captured_unix_ns;
  record.sysctls_before = before.sysctls_before;
  if (record.container_id == before.container_id || before.in_place()) {
    // The first interface's DEL is the one that counts.
    record.ifname = before.ifname;
    record.network = before.network;
    if (record == before && (co_await parts_.capture.Verify(live)).ok()) co_return Success();
  }
  if (const absl::Status saved = parts_.records.Save(record); !saved.ok())
    co_return Failure(cni::ErrorCode::kIo, std::string(saved.message()));
  const std::string uid = record.uid;
  const absl::Status status = co_await parts_.capture.CaptureAgain(live, std::move(record), pod);
  ApplyState(live);
  Entry& entry = *Find(uid);
  entry.problem = std::string(status.message());
  Changed();
  if (!status.ok()) {
    LOG_WARN("pod.capture.failed", KV("pod", live.record.PodName()), KV("error", status));
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(status.message()));
  }
  LOG_INFO("pod.captured.again", KV("pod", live.record.PodName()), KV("uid", uid));
  co_return Success();
}

Task<cni::Reply> PodRegistry::Check(const cni::Request& request, StopToken stop) {
  if (!co_await WaitIdle(request.pod.uid, stop)) co_return UnderWay();
  const Entry* entry = Find(request.pod.uid);
  if (entry == nullptr) {
    const NodePodRef pod = parts_.node_pods.Find(PodUid(request.pod.uid));
    if (request.pod.uid.empty() || leave_all_ || (pod != nullptr && !pod->in_mesh()))
      co_return Success();
    co_return Failure(cni::ErrorCode::kVerificationFailed, "the pod is not captured");
  }
  const LivePod& pod = *entry->pod;
  if (!pod.record.in_place() && pod.record.container_id != request.container_id) {
    co_return Failure(cni::ErrorCode::kUnknownContainer,
                      "the pod was captured with another container");
  }
  const Busy busy(*this, pod.record);
  const absl::Status verified = co_await parts_.capture.Verify(pod);
  if (!verified.ok())
    co_return Failure(cni::ErrorCode::kVerificationFailed, std::string(verified.message()));
  co_return Success();
}

// The pod that an ADD of this container and interface captured, or is capturing. DEL need not say
// whose container it is.
std::optional<std::string> PodRegistry::FindAttached(const cni::Request& request) const {
  const auto is_it = [&request](const auto& attachment) {
    if (attachment.ifname != request.ifname) return false;
    if (!attachment.container_id.empty()) return attachment.container_id == request.container_id;
    return CheckNetnsPath(request.netns, attachment.netns).ok();  // Captured in place.
  };
  for (const auto& [uid, command] : busy_) {
    if (is_it(command)) return uid;
  }
  for (const auto& [uid, entry] : pods_) {
    if (is_it(entry.pod->record)) return uid;
  }
  for (const auto& [uid, record] : unadopted_) {
    if (is_it(record)) return uid;
  }
  return std::nullopt;
}

Task<cni::Reply> PodRegistry::Delete(const cni::Request& request, StopToken stop) {
  // Asked again after each wait: it may be gone by then.
  while (const std::optional<std::string> uid = FindAttached(request)) {
    if (busy_.contains(*uid)) {
      if (!co_await WaitIdle(*uid, stop)) co_return UnderWay();
      continue;
    }
    // Its last processes may live a little longer: it is not to be captured anew.
    if (const Entry* entry = Find(*uid)) ended_[*uid] = entry->pod->record.netns;
    co_await LetGo(*uid, "DEL");
  }
  co_return Success();
}

// Of an idle pod, served or not.
Task<void> PodRegistry::LetGo(std::string uid, std::string_view why) {
  if (const Entry* entry = Find(uid)) {
    const Busy busy(*this, entry->pod->record);
    co_await Release(uid, why);
  } else if (const auto before = unadopted_.find(uid); before != unadopted_.end()) {
    ForgetGone(before->second);
    unadopted_.erase(uid);
  }
}

std::optional<std::string> PodRegistry::ContainerOf(const std::string& uid) const {
  if (const auto it = pods_.find(uid); it != pods_.end())
    return it->second.pod->record.container_id;
  const auto it = unadopted_.find(uid);
  return it == unadopted_.end() ? std::nullopt : std::optional(it->second.container_id);
}

Task<cni::Reply> PodRegistry::CollectGarbage(const cni::Request& request) {
  const auto valid = [&request](const CaptureRecord& record) {
    if (record.in_place()) return true;  // No list of containers tells of it.
    return std::any_of(request.attachments.begin(), request.attachments.end(),
                       [&](const cni::Attachment& attachment) {
                         return attachment.container_id == record.container_id &&
                                attachment.ifname == record.ifname;
                       });
  };
  struct Stale {
    std::string uid;
    std::string container_id;
  };
  std::vector<Stale> stale;
  for (const auto& [uid, entry] : pods_) {
    const CaptureRecord& record = entry.pod->record;
    if (record.network == request.network && !valid(record))
      stale.push_back({uid, record.container_id});
  }
  for (const auto& [uid, record] : unadopted_) {
    if (record.network == request.network && !valid(record))
      stale.push_back({uid, record.container_id});
  }
  for (Stale& each : stale) {
    // What a command has hold of, the next GC finds; what an ADD took meanwhile is not stale.
    if (!busy_.contains(each.uid) && ContainerOf(each.uid) == each.container_id)
      co_await LetGo(std::move(each.uid), "GC");
  }
  co_return Success();
}

void PodRegistry::RemoveRecord(std::string_view uid) {
  const absl::Status removed = parts_.records.Remove(uid);
  if (!removed.ok()) LOG_WARN("pod.record.remove", KV("uid", uid), KV("error", removed));
}

// The record goes last: what an agent that dies meanwhile leaves, the next one finds.
Task<void> PodRegistry::Release(std::string uid, std::string_view why) {
  const auto it = pods_.find(uid);
  if (it == pods_.end()) co_return;
  std::unique_ptr<LivePod> pod = std::move(it->second.pod);
  pods_.erase(it);
  LOG_INFO("pod.released", KV("pod", pod->record.PodName()), KV("uid", uid), KV("why", why));
  ++stats_.released_total;
  Changed();
  co_await parts_.capture.Release(std::move(pod));
  RemoveRecord(uid);
}

void PodRegistry::ForgetGone(const CaptureRecord& record) {
  LOG_INFO("pod.gone", KV("pod", record.PodName()), KV("uid", record.uid));
  parts_.capture.Forget(record);
  RemoveRecord(record.uid);
}

// The state may have changed while the pod was being captured, or, when it is adopted, be another
// one than that by which the agent before us wrote the kernel's record.
void PodRegistry::Insert(std::unique_ptr<LivePod> pod) {
  ApplyState(*pod);
  const std::string uid = pod->record.uid;
  ended_.erase(uid);
  attempts_.erase(uid);
  pods_[uid] = Entry{.pod = std::move(pod),
                     .problem = "",
                     .strays = {},
                     .since = parts_.loop.Now(),
                     .left_at = {},
                     .announced = false};
  Changed();
}

void PodRegistry::ApplyState(LivePod& pod) {
  const NodePodRef settings = parts_.node_pods.Find(PodUid(pod.record.uid));
  // What leaves keeps its settings to the end.
  if (settings == nullptr || !settings->in_mesh()) return;
  const absl::Status updated =
      parts_.capture.Update(pod, settings->interception,
                            PlaintextIsDenied(*parts_.node_pods.state(), pod.record.workload_uid));
  if (!updated.ok())
    LOG_WARN("pod.settings.failed", KV("pod", pod.record.PodName()), KV("error", updated));
}

Task<void> PodRegistry::Abandon(PodObserver& proxy) {
  std::vector<std::string> uids;
  for (const auto& [uid, entry] : pods_) {
    if (entry.pod->served) uids.push_back(uid);
  }
  for (const std::string& uid : uids) co_await proxy.PodReleased(uid);
  pods_.clear();
}

std::vector<PodStatus> PodRegistry::List() const {
  std::vector<PodStatus> list;
  for (const auto& [uid, entry] : pods_) {
    list.push_back({.record = entry.pod->record,
                    .captured = entry.problem.empty(),
                    .problem = entry.problem,
                    .strays = entry.strays,
                    .leaving = entry.pod->leaving(),
                    .exclusions = entry.pod->exclusions,
                    .fails_open = entry.pod->kernel.fail_mode == HD_FAIL_OPEN});
  }
  for (const auto& [uid, record] : unadopted_) {
    PodStatus status;
    status.record = record;
    status.problem = "captured, but not served: could not be adopted";
    list.push_back(std::move(status));
  }
  std::sort(list.begin(), list.end(), [](const PodStatus& a, const PodStatus& b) {
    return a.record.PodName() < b.record.PodName();
  });
  return list;
}

}  // namespace heddle::agent
