#include "agent/node/pod_capture.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/netlink/route.h"
#include "lib/netlink/tcp_diag.h"

namespace heddle::agent {
namespace {

uint16_t PortOf(ListenerRole role) {
  switch (role) {
    case ListenerRole::kOutbound: return kOutboundPort;
    case ListenerRole::kInboundPlaintext: return kInboundPlaintextPort;
    case ListenerRole::kInboundHbone: return kInboundHbonePort;
  }
  return 0;
}

Exclusions ExclusionsOf(const Interception& interception) {
  return {.outbound_ports = interception.excluded_outbound_ports,
          .inbound_ports = interception.excluded_inbound_ports,
          .outbound_prefixes = interception.excluded_outbound_cidrs,
          .inbound_prefixes = interception.excluded_inbound_cidrs};
}

// Whether the kernel's set is this one, as far as this process has written it.
bool HoldsExclusions(const LivePod& pod, const Exclusions& wanted) {
  return wanted == pod.exclusions && (wanted.empty() == (pod.kernel.exclusion_set == 0));
}

hd_fail_mode FailModeOf(const Interception& interception) {
  return interception.fail_mode == FailMode::kOpen ? HD_FAIL_OPEN : HD_FAIL_CLOSED;
}

CapturedPod PodOf(const CaptureRecord& record) {
  return {.uid = record.uid,
          .namespace_name = record.namespace_name,
          .name = record.name,
          .service_account = record.service_account,
          .trust_domain = record.trust_domain,
          .workload_uid = record.workload_uid,
          .addresses = record.addresses,
          .netns_cookie = record.netns_cookie};
}

// Runs in the pod's netns.
absl::Status CheckListening() {
  TRY_ASSIGN(const auto diag, netlink::TcpDiag::Open());
  for (const ListenerRole role : kListenerRoles) {
    TRY_ASSIGN(const bool v6, diag->IsListening(PortOf(role), AF_INET6));
    TRY_ASSIGN(const bool v4, diag->IsListening(PortOf(role), AF_INET));
    if (!v4 && !v6)
      return absl::NotFoundError(absl::StrCat("nothing listens on port ", PortOf(role)));
  }
  return absl::OkStatus();
}

}  // namespace

// The listening sockets between their making and the proxy.
struct PodCapture::Listeners {
  UniqueFd outbound;
  UniqueFd plaintext;
  UniqueFd hbone;

  UniqueFd& Of(ListenerRole role) {
    if (role == ListenerRole::kOutbound) return outbound;
    return role == ListenerRole::kInboundPlaintext ? plaintext : hbone;
  }
};

PodCapture::PodCapture(const Parts& parts)
    : parts_(parts),
      maps_(parts.bpf.maps()),
      lookups_(parts.bpf.maps(), parts.bpf.pins()),
      original_destinations_(parts.bpf.maps()) {}

Task<absl::StatusOr<PodCapture::Inside>> PodCapture::LookInside(int netns_fd) {
  Inside inside;
  absl::AnyInvocable<absl::Status()> look = [&inside]() -> absl::Status {
    TRY_ASSIGN(inside.cookie, OwnNetnsCookie());
    TRY_ASSIGN(inside.addresses, netlink::ListAddresses());
    return absl::OkStatus();
  };
  const absl::Status status =
      co_await parts_.netns_thread.Run(parts_.loop, netns_fd, std::move(look));
  if (!status.ok()) co_return status;
  co_return inside;
}

Task<absl::StatusOr<size_t>> PodCapture::LookAtSockets(int netns_fd) {
  size_t open = 0;
  absl::AnyInvocable<absl::Status()> look = [&open]() -> absl::Status {
    TRY_ASSIGN(const auto diag, netlink::TcpDiag::Open());
    for (const int family : {AF_INET, AF_INET6}) {
      TRY_ASSIGN(const size_t count, diag->CountEstablished(family));
      open += count;
      for (const ListenerRole role : kListenerRoles) {
        TRY_ASSIGN(const bool taken, diag->IsListening(PortOf(role), family));
        if (!taken) continue;
        return absl::FailedPreconditionError(
            absl::StrCat("port ", PortOf(role),
                         " is taken inside the pod: is it in another mesh, by a sidecar or a node ",
                         "proxy of that one?"));
      }
    }
    return absl::OkStatus();
  };
  const absl::Status status =
      co_await parts_.netns_thread.Run(parts_.loop, netns_fd, std::move(look));
  if (!status.ok()) co_return status;
  co_return open;
}

Task<absl::Status> PodCapture::PrepareNetns(LivePod& pod, Listeners& listeners) {
  absl::AnyInvocable<absl::Status()> prepare = [&pod, &listeners]() -> absl::Status {
    TRY_STATUS(ApplyPodSysctls(pod.record.sysctls_before));
    TRY_STATUS(AddApplicationDelivery());
    for (const ListenerRole role : kListenerRoles) {
      TRY_ASSIGN(listeners.Of(role), MakeListeningSocket(PortOf(role)));
    }
    return absl::OkStatus();
  };
  co_return co_await parts_.netns_thread.Run(parts_.loop, pod.network->netns_fd(),
                                             std::move(prepare));
}

absl::Status PodCapture::PutRecord(LivePod& pod, const NodePodRef& settings) {
  const uint64_t cookie = pod.record.netns_cookie;
  // What this process wrote counts more than what is there now.
  if (pod.kernel.netns_cookie == 0) {
    if (const auto before = maps_.Find(cookie)) pod.kernel = *before;
  }
  pod.kernel.netns_cookie = cookie;
  pod.kernel.netns_ino = pod.record.netns.inode;
  pod.kernel.state = HD_POD_CAPTURING;
  pod.kernel.addresses = pod.record.addresses;
  pod.kernel.namespace_name = pod.record.namespace_name;
  pod.kernel.name = pod.record.name;
  pod.kernel.uid = pod.record.uid;
  if (settings != nullptr) return Write(pod, settings->interception, pod.kernel.refuse_plaintext);
  return maps_.Put(pod.kernel);
}

absl::Status PodCapture::TakeInbound(LivePod& pod) {
  TRY_STATUS(lookups_.Attach(pod.record.netns_cookie, pod.network->netns_fd()));
  pod.inbound_waits = false;
  return absl::OkStatus();
}

absl::Status PodCapture::Update(LivePod& pod, const Interception& interception,
                                bool refuse_plaintext) {
  const bool same = pod.kernel.refuse_plaintext == refuse_plaintext &&
                    pod.kernel.fail_mode == FailModeOf(interception) &&
                    HoldsExclusions(pod, ExclusionsOf(interception));
  return same ? absl::OkStatus() : Write(pod, interception, refuse_plaintext);
}

absl::Status PodCapture::Write(LivePod& pod, const Interception& interception,
                               bool refuse_plaintext) {
  const Exclusions wanted = ExclusionsOf(interception);
  const bool same_exclusions = HoldsExclusions(pod, wanted);
  PodRecord next = pod.kernel;
  next.refuse_plaintext = refuse_plaintext;
  next.fail_mode = FailModeOf(interception);
  absl::Status excluded;
  if (!same_exclusions) {
    const absl::StatusOr<uint32_t> set = wanted.empty() ? 0 : maps_.PutExclusions(wanted);
    next.exclusion_set = set.value_or(0);
    excluded = set.status();
  }
  const absl::Status put = maps_.Put(next);
  if (!put.ok()) {
    if (!same_exclusions && next.exclusion_set != 0) maps_.EraseExclusions(next.exclusion_set);
    return put;
  }
  const uint32_t old_set = same_exclusions ? 0 : pod.kernel.exclusion_set;
  if (old_set != 0) maps_.EraseExclusions(old_set);
  pod.kernel = std::move(next);
  pod.exclusions = excluded.ok() ? wanted : Exclusions();
  // What the old set has left may be the room that was missing. This happens once: none is left then.
  if (!excluded.ok() && old_set != 0) return Write(pod, interception, refuse_plaintext);
  return excluded;
}

Task<void> PodCapture::HandToProxy(LivePod& pod, Listeners listeners) {
  std::vector<PodListener> handed;
  for (const ListenerRole role : kListenerRoles) {
    handed.push_back({role, [fd = std::move(listeners.Of(role))](io::Loop& loop) mutable {
                        return io::MakeListener(loop, std::move(fd));
                      }});
  }
  pod.served = true;
  co_await parts_.proxy.PodCaptured(pod.network, std::move(handed));
}

Task<void> PodCapture::TakeFromProxy(LivePod& pod) {
  if (std::exchange(pod.served, false)) co_await parts_.proxy.PodReleased(pod.record.uid);
}

std::unique_ptr<LivePod> PodCapture::MakeLivePod(CaptureRecord record, UniqueFd netns) {
  auto pod = std::make_unique<LivePod>();
  pod->record = std::move(record);
  const KernelPodNetwork::Parts parts{parts_.netns_thread, original_destinations_, parts_.workers};
  pod->network = std::make_shared<KernelPodNetwork>(PodOf(pod->record), std::move(netns), parts);
  return pod;
}

// Makes the listeners, and has the proxy serve them.
Task<absl::Status> PodCapture::Serve(LivePod& pod) {
  Listeners listeners;
  CO_TRY_STATUS(co_await PrepareNetns(pod, listeners));
  const uint64_t cookie = pod.record.netns_cookie;
  CO_TRY_STATUS(maps_.PutListener(cookie, HD_LISTENER_OUTBOUND, listeners.outbound.get()));
  CO_TRY_STATUS(
      maps_.PutListener(cookie, HD_LISTENER_INBOUND_PLAINTEXT, listeners.plaintext.get()));
  co_await HandToProxy(pod, std::move(listeners));
  co_return absl::OkStatus();
}

// From a pod that the proxy does not serve to one that was read back as captured.
Task<absl::Status> PodCapture::TakeOver(LivePod& pod, NodePodRef settings) {
  CO_TRY_STATUS(PutRecord(pod, settings));
  // After the record: without one it refuses every inbound connection.
  CO_TRY_STATUS(TakeInbound(pod));
  CO_TRY_STATUS(co_await Serve(pod));
  const absl::Status verified = co_await Verify(pod);
  co_return Annotate(verified, "the capture could not be verified");
}

Task<absl::Status> PodCapture::TakeOverRunning(LivePod& pod, NodePodRef settings) {
  pod.inbound_waits = true;
  CO_TRY_STATUS(co_await Serve(pod));
  CO_TRY_STATUS(PutRecord(pod, settings));
  const absl::Status verified = co_await Verify(pod);
  co_return Annotate(verified, "the capture could not be verified");
}

Task<absl::StatusOr<std::unique_ptr<LivePod>>> PodCapture::CaptureRunning(CaptureRecord record,
                                                                          UniqueFd netns,
                                                                          NodePodRef settings) {
  std::unique_ptr<LivePod> pod = MakeLivePod(std::move(record), std::move(netns));
  const absl::Status status = co_await TakeOverRunning(*pod, std::move(settings));
  if (status.ok()) co_return pod;
  co_await Undo(*pod);
  co_return status;
}

Task<absl::StatusOr<std::unique_ptr<LivePod>>> PodCapture::Capture(CaptureRecord record,
                                                                   UniqueFd netns,
                                                                   NodePodRef settings) {
  std::unique_ptr<LivePod> pod = MakeLivePod(std::move(record), std::move(netns));
  const absl::Status status = co_await TakeOver(*pod, std::move(settings));
  if (status.ok()) co_return pod;
  co_await Undo(*pod);
  co_return status;
}

Task<absl::StatusOr<std::unique_ptr<LivePod>>> PodCapture::Adopt(CaptureRecord record,
                                                                 UniqueFd netns,
                                                                 NodePodRef settings) {
  std::unique_ptr<LivePod> pod = MakeLivePod(std::move(record), std::move(netns));
  const absl::Status status = co_await TakeOver(*pod, std::move(settings));
  if (status.ok()) co_return pod;
  co_await TakeFromProxy(*pod);
  co_return status;
}

Task<absl::Status> PodCapture::CaptureAgain(LivePod& pod, CaptureRecord record,
                                            NodePodRef settings) {
  co_await TakeFromProxy(pod);
  UniqueFd netns(::fcntl(pod.network->netns_fd(), F_DUPFD_CLOEXEC, 0));
  if (!netns.valid()) co_return absl::ErrnoToStatus(errno, "keep the pod's netns open");
  record.sysctls_before = std::move(pod.record.sysctls_before);
  const std::unique_ptr<LivePod> next = MakeLivePod(std::move(record), std::move(netns));
  pod.record = std::move(next->record);
  pod.network = std::move(next->network);
  co_return co_await TakeOver(pod, std::move(settings));
}

Task<void> PodCapture::RestoreNetns(const LivePod& pod) {
  absl::AnyInvocable<absl::Status()> restore = [&pod]() -> absl::Status {
    const absl::Status delivery = RemoveApplicationDelivery();
    const absl::Status sysctls = RestoreSysctls(pod.record.sysctls_before);
    return delivery.ok() ? sysctls : delivery;
  };
  const absl::Status status =
      co_await parts_.netns_thread.Run(parts_.loop, pod.network->netns_fd(), std::move(restore));
  if (!status.ok()) LOG_WARN("pod.restore.failed", KV("pod", pod.record.uid), KV("error", status));
}

void PodCapture::Detach(uint64_t netns_cookie) {
  const absl::Status detached = lookups_.Detach(netns_cookie);
  if (!detached.ok())
    LOG_WARN("pod.lookup.detach", KV("netns_cookie", netns_cookie), KV("error", detached));
}

Task<void> PodCapture::Undo(LivePod& pod) {
  co_await TakeFromProxy(pod);
  Forget(pod.record.netns_cookie);
  co_await RestoreNetns(pod);
}

absl::Status PodCapture::BeginRelease(LivePod& pod) {
  pod.kernel.state = HD_POD_RELEASING;
  return maps_.Put(pod.kernel);
}

absl::Status PodCapture::CancelRelease(LivePod& pod) {
  pod.kernel.state = HD_POD_CAPTURING;
  return maps_.Put(pod.kernel);
}

Task<void> PodCapture::Release(std::unique_ptr<LivePod> pod) {
  if (const absl::Status put = BeginRelease(*pod); !put.ok()) {
    LOG_WARN("pod.release.record", KV("pod", pod->record.uid), KV("error", put));
  }
  co_await Undo(*pod);
}

Task<void> PodCapture::ReleaseUnserved(CaptureRecord record, UniqueFd netns) {
  const std::unique_ptr<LivePod> pod = MakeLivePod(std::move(record), std::move(netns));
  co_await Undo(*pod);
}

Task<size_t> PodCapture::CountConnections(const LivePod& pod) {
  if (!pod.served) co_return 0;
  co_return co_await parts_.proxy.CountConnections(pod.record.uid);
}

void PodCapture::Forget(uint64_t netns_cookie) {
  const auto kernel = maps_.Find(netns_cookie);
  Detach(netns_cookie);
  maps_.Erase(netns_cookie);
  if (kernel && kernel->exclusion_set != 0) maps_.EraseExclusions(kernel->exclusion_set);
}

size_t PodCapture::ForgetTheDead(const absl::flat_hash_set<uint64_t>& known) {
  size_t alive = 0;
  for (const PodRecord& record : maps_.List()) {
    if (known.contains(record.netns_cookie)) continue;
    if (lookups_.IsDead(record.netns_cookie)) {
      Forget(record.netns_cookie);
    } else {
      ++alive;
    }
  }
  return alive;
}

absl::Status PodCapture::CheckKernel(const LivePod& pod) const {
  const uint64_t cookie = pod.record.netns_cookie;
  const auto kernel = maps_.Find(cookie);
  if (!kernel || kernel->uid != pod.record.uid || kernel->state != pod.kernel.state)
    return absl::NotFoundError("the pod's record is not in hd_pods");
  if (kernel->fail_mode != pod.kernel.fail_mode ||
      kernel->exclusion_set != pod.kernel.exclusion_set ||
      kernel->refuse_plaintext != pod.kernel.refuse_plaintext) {
    return absl::NotFoundError("the pod's record in hd_pods has other settings");
  }
  if (!maps_.HasAddresses(pod.kernel))
    return absl::NotFoundError("an address of the pod is not in hd_pod_ip");
  if (!pod.inbound_waits && !lookups_.IsAttached(cookie, pod.record.netns.inode))
    return absl::NotFoundError("hd_sk_lookup is not attached to the pod's netns");
  return absl::OkStatus();
}

Task<absl::Status> PodCapture::Verify(const LivePod& pod) {
  CO_TRY_STATUS(CheckKernel(pod));
  if (!pod.served) co_return absl::NotFoundError("the proxy does not serve the pod");
  for (const hd_listener_role role : {HD_LISTENER_OUTBOUND, HD_LISTENER_INBOUND_PLAINTEXT}) {
    if (!maps_.FindListener(pod.record.netns_cookie, role))
      co_return absl::NotFoundError("a listener is not in hd_listen");
  }
  absl::AnyInvocable<absl::Status()> check = [] { return CheckListening(); };
  co_return co_await parts_.netns_thread.Run(parts_.loop, pod.network->netns_fd(),
                                             std::move(check));
}

// First what keeps traffic in, then who serves it.
Task<absl::Status> PodCapture::Repair(LivePod& pod) {
  if (!CheckKernel(pod).ok()) {
    CO_TRY_STATUS(maps_.Put(pod.kernel));
    if (!lookups_.IsAttached(pod.record.netns_cookie, pod.record.netns.inode)) {
      CO_TRY_STATUS(TakeInbound(pod));
    }
  }
  if ((co_await Verify(pod)).ok()) co_return absl::OkStatus();
  co_return co_await CaptureAgain(pod, pod.record, nullptr);
}

}  // namespace heddle::agent
