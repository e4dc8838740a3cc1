#include "agent/proxy/worker.h"

#include <utility>

#include "agent/policy/authorizer.h"
#include "agent/proxy/inbound_hbone.h"
#include "agent/proxy/inbound_plaintext.h"
#include "agent/proxy/outbound.h"
#include "agent/proxy/served_connection.h"
#include "lib/base/log.h"

namespace heddle::agent {
namespace {

TunnelOptions TunnelOptionsFor(WorkerGroup& group) {
  const ProxyLimits& limits = group.limits;
  TunnelOptions options{.connect_timeout = limits.connect_timeout,
                        .handshake_timeout = limits.handshake_timeout,
                        .idle_timeout = limits.tunnel_idle_timeout,
                        .tunnels_max = limits.tunnels_per_pod_max,
                        .http = HboneOptions()};
  options.http.session.open_streams_max = limits.tunnel_streams_max;
  options.http.budget = &group.held_bytes;
  options.metrics = &group.metrics.tunnels;
  return options;
}

}  // namespace

Worker::Worker(io::Loop& loop, size_t index, std::unique_ptr<Random> random, WorkerGroup& group,
               WorkerTelemetry& telemetry)
    : loop_(loop),
      index_(index),
      random_(std::move(random)),
      group_(group),
      telemetry_(telemetry),
      tunnel_options_(TunnelOptionsFor(group)),
      snapshot_changed_(loop),
      handshakes_(group.limits.handshakes_max, group.limits.handshakes_per_source_max),
      scope_(loop) {}

Worker::~Worker() { CHECK(pods_.empty() && waiters_ == 0); }

Snapshot Worker::Apply(Snapshot next) {
  const bool state_changed = snapshot_.state != next.state;
  const bool certificates_changed = snapshot_.certificates != next.certificates;
  Snapshot previous = std::exchange(snapshot_, std::move(next));
  snapshot_changed_.NotifyAll();
  if (certificates_changed) RetireOldTunnels();
  if (state_changed) {
    reevaluate_again_ = true;
    if (!reevaluating_) scope_.Spawn(Reevaluate());
  }
  return previous;
}

void Worker::RetireOldTunnels() {
  for (auto& [uid, pod] : pods_) {
    // Without a valid certificate nothing new is opened; tunnels that are established go on.
    if (const auto context = FindContext(*pod)) pod->tunnels.RetireOthers(context.get());
  }
}

WorkloadRef Worker::FindWorkload(const PodContext& pod) const {
  if (state() == nullptr || !state()->ready()) return nullptr;
  return state()->FindWorkload(pod.workload);
}

std::shared_ptr<const tls::TlsContext> Worker::FindContext(const PodContext& pod) const {
  if (snapshot_.certificates == nullptr || !pod.identity) return nullptr;
  const auto* certificate = snapshot_.certificates->FindValid(*pod.identity, loop_.clock().Wall());
  return certificate == nullptr ? nullptr : certificate->context;
}

Task<Result<std::shared_ptr<const tls::TlsContext>, FailureReason>> Worker::AwaitContext(
    PodContext& pod, StopToken stop) {
  std::shared_ptr<const tls::TlsContext> context;
  const auto found = [this, &pod, &context] {
    context = FindContext(pod);
    return context != nullptr;
  };
  const auto failed = co_await AwaitState(found, FailureReason::kCertificateTimeout, stop);
  if (failed) co_return std::unexpected(*failed);
  co_return std::move(context);
}

// In slices, from the start again when the next snapshot comes meanwhile. Connections that arrive
// during the walk are judged by the current state anyway.
Task<void> Worker::Reevaluate() {
  reevaluating_ = true;
  while (std::exchange(reevaluate_again_, false)) {
    uint64_t last = 0;
    do {
      last = connections_.VisitAfter(
          last, limits().reevaluations_per_turn,
          [this](ServedConnection& connection) { Reevaluate(connection); });
      co_await loop_.Yield();
    } while (last != 0 && !reevaluate_again_);
  }
  reevaluating_ = false;
}

void Worker::Reevaluate(ServedConnection& connection) {
  const std::optional<ConnectionFacts> facts = connection.facts();
  if (state() == nullptr || !facts || connection.stop().requested()) return;
  const WorkloadRef workload = state()->FindWorkload(WorkloadUid(connection.pod.pod().workload_uid));
  if (!Decide(*state(), workload.get(), *facts).allowed) connection.EndByPolicy();
}

void Worker::AddPod(std::shared_ptr<PodNetwork> network) {
  const std::string uid = network->pod().uid;
  auto context = std::make_shared<PodContext>(loop_, std::move(network), tunnel_options_);
  if (!context->identity) LOG_ERROR("pod.identity.invalid", KV("pod", uid));
  CHECK(pods_.emplace(uid, std::move(context)).second);
}

void Worker::Listen(const std::string& pod_uid, ListenerRole role,
                    std::unique_ptr<io::Listener> listener) {
  PodContext& pod = *pods_.at(pod_uid);
  pod.listeners.Spawn(AcceptLoop(pod, role, std::move(listener)));
}

Task<void> Worker::AcceptLoop(PodContext& pod, ListenerRole role,
                              std::unique_ptr<io::Listener> listener) {
  while (true) {
    auto accepted = co_await listener->Accept(pod.accepting.token());
    if (accepted) {
      Dispatch(pod, role, *std::move(accepted));
      continue;
    }
    if (!accepted.error().stopped()) {
      LOG_ERROR("pod.listener.failed", KV("pod", pod.pod().uid), KV("error", accepted.error()));
    }
    co_return;
  }
}

void Worker::Dispatch(PodContext& pod, ListenerRole role,
                      std::unique_ptr<io::AcceptedConnection> accepted) {
  auto place = group_.loads.Take(index_);
  if (!place) return telemetry_.CountFailure(FailureReason::kConnectionLimit);
  Incoming incoming{std::move(accepted), *std::move(place)};
  if (incoming.place.worker() == index_) return Start(pod, role, std::move(incoming));
  Worker& other = *group_.workers[incoming.place.worker()];
  other.loop_.Post([&other, uid = pod.pod().uid, role, incoming = std::move(incoming)]() mutable {
    other.Take(uid, role, std::move(incoming));
  });
}

void Worker::Take(const std::string& pod_uid, ListenerRole role, Incoming incoming) {
  const auto it = pods_.find(pod_uid);
  if (it == pods_.end()) return telemetry_.CountFailure(FailureReason::kPodReleased);
  Start(*it->second, role, std::move(incoming));
}

void Worker::Start(PodContext& pod, ListenerRole role, Incoming incoming) {
  if (pod.accepting.requested()) return telemetry_.CountFailure(pod.end_reason);
  pod.connections.Spawn(Serve(pod, role, std::move(incoming)));
}

Task<void> Worker::Serve(PodContext& pod, ListenerRole role, Incoming incoming) {
  switch (role) {
    case ListenerRole::kOutbound: return ServeOutbound(*this, pod, std::move(incoming));
    case ListenerRole::kInboundPlaintext:
      return ServeInboundPlaintext(*this, pod, std::move(incoming));
    case ListenerRole::kInboundHbone: return ServeInboundHbone(*this, pod, std::move(incoming));
  }
}

Task<void> Worker::StopListening(std::string pod_uid) {
  const auto it = pods_.find(pod_uid);
  if (it == pods_.end()) co_return;
  const std::shared_ptr<PodContext> pod = it->second;
  pod->accepting.RequestStop();
  co_await pod->listeners.Join();
}

Task<void> Worker::RemovePod(std::string pod_uid) {
  const auto it = pods_.find(pod_uid);
  if (it == pods_.end()) co_return;
  // Out of the map first: whoever looks for the pod while it ends must not find it.
  const std::shared_ptr<PodContext> pod = std::move(it->second);
  pods_.erase(it);
  // What a drain has ended, it has ended.
  if (!pod->connections.stop().requested()) pod->end_reason = FailureReason::kPodReleased;
  co_await EndPod(*pod);
}

Task<void> Worker::EndPod(PodContext& pod) {
  pod.accepting.RequestStop();
  pod.connections.RequestStop();
  co_await pod.listeners.Join();
  co_await pod.tunnels.Close();
  co_await pod.connections.Join();
}

Task<void> Worker::Drain(absl::Duration grace) {
  const MonotonicTime until = loop_.Now() + grace;
  Scope drains(loop_);
  std::vector<std::shared_ptr<PodContext>> pods;
  for (auto& [uid, pod] : pods_) pods.push_back(pod);
  // Each on its own, which ends with the pod's last connection: one that is released meanwhile must
  // not be held, with its netns, until the others have ended.
  for (auto& pod : pods) drains.Spawn(DrainPod(std::move(pod), until));
  co_await drains.Join();
}

Task<void> Worker::DrainPod(std::shared_ptr<PodContext> pod, MonotonicTime until) {
  pod->end_reason = FailureReason::kDrained;
  pod->accepting.RequestStop();
  co_await pod->listeners.Join();
  co_await pod->connections.Drain(std::max(until - loop_.Now(), absl::ZeroDuration()));
}

Task<void> Worker::Stop() {
  while (!pods_.empty()) co_await RemovePod(std::string(pods_.begin()->first));
  co_await scope_.Drain();
}

}  // namespace heddle::agent
