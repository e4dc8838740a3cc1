#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/failure.h"
#include "agent/proxy/connection_table.h"
#include "agent/proxy/handshakes.h"
#include "agent/proxy/limits.h"
#include "agent/proxy/pod_context.h"
#include "agent/proxy/proxy_metrics.h"
#include "agent/proxy/snapshot.h"
#include "agent/proxy/worker_loads.h"
#include "agent/seams/pod_network.h"
#include "agent/telemetry/worker_telemetry.h"
#include "lib/base/random.h"
#include "lib/http/receive_budget.h"
#include "lib/io/loop.h"

namespace heddle::agent {

class Worker;

// What the workers of one proxy share. Made before them, outlives them; `workers` is complete
// before the first pod is added.
struct WorkerGroup {
  WorkerGroup(size_t size, const ProxyLimits& limits, metrics::Registry& registry)
      : limits(limits),
        loads(size, limits.connections_max),
        held_bytes(limits.held_bytes_max),
        metrics(registry, loads, held_bytes) {}

  const ProxyLimits limits;
  WorkerLoads loads;
  http::ReceiveBudget held_bytes;
  ProxyMetrics metrics;
  std::vector<Worker*> workers;
};

// Everything of one worker's loop: the pods it serves, their tunnels, the table of connections, and
// the snapshot that decisions are made with. The functions that serve connections (outbound.h,
// inbound_hbone.h, inbound_plaintext.h) use it as their surroundings.
//
// Threads: constructed, used and destroyed on its loop. Stop() before destruction. Limits:
// ProxyLimits; reaching one resets the connection and is counted with its reason.
class Worker {
 public:
  Worker(io::Loop& loop, size_t index, std::unique_ptr<Random> random, WorkerGroup& group,
         WorkerTelemetry& telemetry);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Takes the next snapshot for all decisions from now on and returns the one before, which the
  // caller destroys elsewhere (it may be large). Wakes who waited for state; inbound connections
  // that are no longer allowed end soon.
  Snapshot Apply(Snapshot next);

  void AddPod(std::shared_ptr<PodNetwork> network);
  // Accepts on the listener until the pod's StopListening().
  void Listen(const std::string& pod_uid, ListenerRole role,
              std::unique_ptr<io::Listener> listener);
  // Returns when no accept is under way; connections go on. Unknown pods are none of ours.
  Task<void> StopListening(std::string pod_uid);
  // Ends the pod's connections and tunnels; returns when nothing here uses its netns.
  Task<void> RemovePod(std::string pod_uid);
  // Lets connections end by themselves for `grace`, tells peers to open no new streams, then ends
  // the rest.
  Task<void> Drain(absl::Duration grace);
  // Ends everything.
  Task<void> Stop();

  // A connection that another worker has accepted.
  void Take(const std::string& pod_uid, ListenerRole role, Incoming incoming);

  // ---- For the functions that serve connections. ----
  io::Loop& loop() { return loop_; }
  const ProxyLimits& limits() const { return group_.limits; }
  WorkerGroup& group() { return group_; }
  size_t index() const { return index_; }
  Random& random() { return *random_; }
  ConnectionTable& connections() { return connections_; }
  WorkerTelemetry& telemetry() { return telemetry_; }
  // The current state, or nullptr before the first. Not to be kept across a wait: its last
  // reference must not end here.
  const State* state() const { return snapshot_.state.get(); }
  // The pod's workload as the control plane describes it now; nullptr when that is not known, or
  // state is not complete.
  WorkloadRef FindWorkload(const PodContext& pod) const;
  // The TLS context that new connections of the pod use; nullptr when it has none that is valid
  // now.
  std::shared_ptr<const tls::TlsContext> FindContext(const PodContext& pod) const;

  // Waits until snapshots make `ready()` true, at most ProxyLimits::state_wait_timeout. Empty when
  // its last call was true; kPodReleased when `stop` fired.
  template <typename Ready>
  Task<std::optional<FailureReason>> AwaitState(Ready ready, FailureReason on_timeout,
                                                StopToken stop) {
    bool is_ready = ready();
    if (is_ready) co_return std::nullopt;
    if (waiters_ >= limits().state_waiters_max) co_return FailureReason::kWaiterLimit;
    ++waiters_;
    Deadline patience(loop_, stop, limits().state_wait_timeout);
    while (!is_ready && co_await snapshot_changed_.Wait(patience.token())) is_ready = ready();
    --waiters_;
    if (is_ready) co_return std::nullopt;
    co_return patience.expired() ? on_timeout : FailureReason::kPodReleased;
  }

  // Waits for FindContext() in the same way. Never null: time goes on, so that a second look might
  // find the certificate expired that the first has found.
  Task<Result<std::shared_ptr<const tls::TlsContext>, FailureReason>> AwaitContext(PodContext& pod,
                                                                                   StopToken stop);

  Handshakes& handshakes() { return handshakes_; }

 private:
  Task<void> AcceptLoop(PodContext& pod, ListenerRole role, std::unique_ptr<io::Listener> listener);
  void Dispatch(PodContext& pod, ListenerRole role,
                std::unique_ptr<io::AcceptedConnection> accepted);
  void Start(PodContext& pod, ListenerRole role, Incoming incoming);
  Task<void> Serve(PodContext& pod, ListenerRole role, Incoming incoming);
  Task<void> Reevaluate();
  void Reevaluate(ServedConnection& connection);
  void RetireOldTunnels();
  Task<void> EndPod(PodContext& pod);
  Task<void> DrainPod(std::shared_ptr<PodContext> pod, MonotonicTime until);

  io::Loop& loop_;
  const size_t index_;
  const std::unique_ptr<Random> random_;
  WorkerGroup& group_;
  WorkerTelemetry& telemetry_;
  const TunnelOptions tunnel_options_;
  Snapshot snapshot_;
  WaitQueue snapshot_changed_;
  size_t waiters_ = 0;
  Handshakes handshakes_;
  ConnectionTable connections_;
  bool reevaluating_ = false;
  bool reevaluate_again_ = false;
  // Shared with the tasks that wait for a pod's end: a pod may be released while the worker drains.
  absl::flat_hash_map<std::string, std::shared_ptr<PodContext>> pods_;
  Scope scope_;
};

}  // namespace heddle::agent
