#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/served_connection.h"
#include "agent/proxy/snapshot.h"
#include "agent/proxy/worker.h"
#include "agent/seams/pod_network.h"
#include "lib/io/loop_pool.h"

namespace heddle::agent {

// One worker's surroundings: a loop of an io::LoopPool, or of a simulation.
struct WorkerPlace {
  io::Loop& loop;
  std::unique_ptr<Random> random;
};

struct ProxyOptions {
  ProxyLimits limits;
  metrics::Registry& registry;
  AccessLog& access_log;
};

// A connection as operators see it.
struct ConnectionInfo {
  ConnectionKind kind;
  std::string pod_uid;
  std::string pod_namespace;
  std::string pod_name;
  io::SocketAddress source;
  std::string original_destination;
  std::string actual_destination;
  std::string source_identity;  // Empty: none.
};

// The data plane of a node: workers on their loops, the pods they serve, and the way from the
// control thread to them.
//
// Purpose: carries the traffic of captured pods by the snapshot that it was given last. Inputs:
// pods from agent/node, snapshots from xDS and identity. Outputs: connections, records, dumps.
// Threads: constructed, called and destroyed on the control loop, which runs longer; workers live
// on theirs. Start() before anything else, Stop() at the end. Calls for one pod are made one after
// the other.
class Proxy final : public PodObserver {
 public:
  Proxy(io::Loop& control, std::vector<WorkerPlace> places, const ProxyOptions& options);
  ~Proxy() override;

  Task<void> Start();
  // Ends every connection that is left.
  Task<void> Stop();

  // At any time. All workers decide by this snapshot soon: each between two turns of its loop. Old
  // snapshots are destroyed on the control loop.
  void Apply(Snapshot snapshot);

  // Listeners are spread over the workers; each connection is handed to the least loaded one before
  // its first byte.
  Task<void> PodCaptured(std::shared_ptr<PodNetwork> network,
                         std::vector<PodListener> listeners) override;
  Task<void> PodReleased(std::string uid) override;
  Task<size_t> CountConnections(std::string uid) override;

  // Stops accepting everywhere and lets connections end by themselves for
  // ProxyLimits::drain_timeout, then ends the rest.
  Task<void> Drain();

  // ---- For operators ----
  // The connections of all workers, collected in slices of the workers' time.
  Task<std::vector<ConnectionInfo>> Connections();
  size_t connection_count() const { return group_.loads.total(); }
  size_t pod_count() const { return pods_; }

 private:
  struct Seat {  // A worker with what it needs.
    io::Loop& loop;
    std::unique_ptr<Random> random;
    std::unique_ptr<WorkerTelemetry> telemetry;
    std::unique_ptr<Worker> worker;  // Made and destroyed on its loop.
  };

  Task<void> OnWorker(Seat& seat, absl::AnyInvocable<Task<void>(Worker& worker)> work);
  // All at once; returns when the last has ended.
  Task<void> OnEachWorker(absl::AnyInvocable<Task<void>(Worker& worker) const> work);
  Task<void> Listen(std::string uid, PodListener listener);

  io::Loop& control_;
  WorkerGroup group_;
  std::vector<std::unique_ptr<Seat>> seats_;
  Snapshot snapshot_;
  size_t next_listener_ = 0;
  size_t pods_ = 0;
};

}  // namespace heddle::agent
