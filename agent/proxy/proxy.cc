#include "agent/proxy/proxy.h"

#include <numeric>
#include <utility>

#include "lib/base/scope.h"

namespace heddle::agent {
namespace {

// Connections that are copied or counted in one turn: some microseconds each at most.
constexpr size_t kConnectionsPerSlice = 128;

std::string TextOf(const std::optional<io::SocketAddress>& address) {
  return address ? address->ToString() : std::string();
}

ConnectionInfo InfoOf(const ServedConnection& connection) {
  const ConnectionRecord& record = connection.record;
  const std::optional<ConnectionFacts> facts = connection.facts();
  const CapturedPod& pod = connection.pod.pod();
  return {.kind = connection.kind,
          .pod_uid = pod.uid,
          .pod_namespace = pod.namespace_name,
          .pod_name = pod.name,
          .source = *record.source.address,
          .original_destination = connection.kind == ConnectionKind::kInboundHbone
                                      ? record.hbone_address
                                      : TextOf(connection.original_destination),
          .actual_destination = TextOf(connection.actual_destination),
          .source_identity = facts && facts->identity ? facts->identity->ToString() : std::string()};
}

// On the worker's loop.
Task<void> Collect(Worker& worker, std::vector<ConnectionInfo>& out) {
  uint64_t last = 0;
  do {
    last = worker.connections().VisitAfter(
        last, kConnectionsPerSlice,
        [&out](const ServedConnection& connection) { out.push_back(InfoOf(connection)); });
    co_await worker.loop().Yield();
  } while (last != 0);
}

Task<void> Count(Worker& worker, const std::string& pod_uid, size_t& out) {
  uint64_t last = 0;
  do {
    last = worker.connections().VisitAfter(last, kConnectionsPerSlice,
                                           [&pod_uid, &out](const ServedConnection& connection) {
                                             if (connection.pod.pod().uid == pod_uid) ++out;
                                           });
    co_await worker.loop().Yield();
  } while (last != 0);
}

Task<void> AddPod(Worker& worker, std::shared_ptr<PodNetwork> network) {
  worker.AddPod(std::move(network));
  co_return;
}

Task<void> Attach(Worker& worker, std::string uid, PodListener listener) {
  worker.Listen(uid, listener.role, listener.attach(worker.loop()));
  co_return;
}

}  // namespace

Proxy::Proxy(io::Loop& control, std::vector<WorkerPlace> places, const ProxyOptions& options)
    : control_(control), group_(places.size(), options.limits, options.registry) {
  CHECK(!places.empty());
  for (WorkerPlace& place : places) {
    auto telemetry =
        std::make_unique<WorkerTelemetry>(options.registry, place.loop.clock(), options.access_log);
    seats_.push_back(
        std::make_unique<Seat>(place.loop, std::move(place.random), std::move(telemetry), nullptr));
  }
}

Proxy::~Proxy() { CHECK(group_.workers.empty()); }

namespace {

Task<void> MakeWorker(std::unique_ptr<Worker>& out, io::Loop& loop, size_t index,
                      std::unique_ptr<Random> random, WorkerGroup& group,
                      WorkerTelemetry& telemetry) {
  out = std::make_unique<Worker>(loop, index, std::move(random), group, telemetry);
  co_return;
}

Task<void> EndWorker(std::unique_ptr<Worker>& worker) {
  co_await worker->Stop();
  worker.reset();
}

}  // namespace

Task<void> Proxy::Start() {
  for (size_t i = 0; i < seats_.size(); ++i) {
    Seat& seat = *seats_[i];
    auto make = [this, &seat, i]() mutable {
      return MakeWorker(seat.worker, seat.loop, i, std::move(seat.random), group_, *seat.telemetry);
    };
    co_await io::RunOn(control_, seat.loop, std::move(make));
    group_.workers.push_back(seat.worker.get());
  }
  Apply(std::move(snapshot_));
}

Task<void> Proxy::Stop() {
  // No connection may be on its way to a worker that is gone.
  for (auto& seat : seats_) {
    co_await OnWorker(*seat, [](Worker& worker) { return worker.Drain(absl::ZeroDuration()); });
  }
  for (auto& seat : seats_) {
    auto end = [&seat] { return EndWorker(seat->worker); };
    co_await io::RunOn(control_, seat->loop, std::move(end));
  }
  group_.workers.clear();
}

Task<void> Proxy::OnWorker(Seat& seat, absl::AnyInvocable<Task<void>(Worker& worker)> work) {
  Worker* worker = seat.worker.get();
  auto run = [worker, work = std::move(work)]() mutable { return work(*worker); };
  co_await io::RunOn(control_, seat.loop, std::move(run));
}

Task<void> Proxy::OnEachWorker(absl::AnyInvocable<Task<void>(Worker& worker) const> work) {
  Scope scope(control_);
  for (auto& seat : seats_) {
    scope.Spawn(OnWorker(*seat, [&work](Worker& worker) { return work(worker); }));
  }
  co_await scope.Join();
}

void Proxy::Apply(Snapshot snapshot) {
  snapshot_ = std::move(snapshot);
  if (group_.workers.size() != seats_.size()) return;  // Start() does it.
  for (auto& seat : seats_) {
    Worker* worker = seat->worker.get();
    io::Loop* control = &control_;
    seat->loop.Post([worker, control, next = snapshot_]() mutable {
      // The last reference may be the one to a large state: it ends on the control thread.
      control->Post([previous = worker->Apply(std::move(next))] {});
    });
  }
}

Task<void> Proxy::PodCaptured(std::shared_ptr<PodNetwork> network,
                              std::vector<PodListener> listeners) {
  const std::string uid = network->pod().uid;
  co_await OnEachWorker([network](Worker& worker) { return AddPod(worker, network); });
  ++pods_;
  for (PodListener& listener : listeners) co_await Listen(uid, std::move(listener));
}

Task<void> Proxy::Listen(std::string uid, PodListener listener) {
  Seat& seat = *seats_[next_listener_++ % seats_.size()];
  auto attach = [uid = std::move(uid), listener = std::move(listener)](Worker& worker) mutable {
    return Attach(worker, std::move(uid), std::move(listener));
  };
  co_await OnWorker(seat, std::move(attach));
}

Task<void> Proxy::PodReleased(std::string uid) {
  // First no more accepts anywhere, so that no connection is handed over to a worker that has ended
  // the pod already.
  co_await OnEachWorker([&uid](Worker& worker) { return worker.StopListening(uid); });
  co_await OnEachWorker([&uid](Worker& worker) { return worker.RemovePod(uid); });
  --pods_;
}

Task<size_t> Proxy::CountConnections(std::string uid) {
  std::vector<size_t> counts(seats_.size());
  co_await OnEachWorker(
      [&counts, &uid](Worker& worker) { return Count(worker, uid, counts[worker.index()]); });
  co_return std::accumulate(counts.begin(), counts.end(), size_t{0});
}

Task<void> Proxy::Drain() {
  const absl::Duration grace = group_.limits.drain_timeout;
  co_await OnEachWorker([grace](Worker& worker) { return worker.Drain(grace); });
}

Task<std::vector<ConnectionInfo>> Proxy::Connections() {
  std::vector<std::vector<ConnectionInfo>> parts(seats_.size());
  co_await OnEachWorker(
      [&parts](Worker& worker) { return Collect(worker, parts[worker.index()]); });
  std::vector<ConnectionInfo> all;
  for (auto& part : parts) {
    all.insert(all.end(), std::make_move_iterator(part.begin()),
               std::make_move_iterator(part.end()));
  }
  co_return all;
}

}  // namespace heddle::agent
