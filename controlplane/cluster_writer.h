#pragma once

#include <optional>
#include <string>

#include "controlplane/cluster.h"
#include "controlplane/mesh.h"
#include "controlplane/shared_reports.h"
#include "controlplane/sources/source.h"
#include "controlplane/startup_taint.h"
#include "controlplane/status/leader_election.h"
#include "controlplane/status_reconciler.h"
#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// All that the controller writes into its cluster. Agents are served whether this works or not.
//
//   every controller:    what its nodes report, for the other controllers (SharedReports)
//                        the Lease that says who leads (LeaderElection)
//   the one that leads:  what became of policies and pods (StatusReconciler); takes away reports
//                        of nodes that are gone
//                        takes the start-up taint off nodes (StartupTaint), when it is asked to
//
// One loop's.
class ClusterWriter {
 public:
  struct Parts {
    io::Loop& loop;
    Cluster& cluster;
    Mesh& mesh;
    sources::Source& source;
    const translate::MeshOptions& options;
    std::string instance;
    bool startup_taint = false;
    metrics::Registry& registry;
  };
  // Before the mesh runs: it waits for what other controllers have heard.
  explicit ClusterWriter(Parts parts);

  // Until stopped; the Lease is given up then. Once.
  Task<void> Run(StopToken stop);

  // For people: who leads, and what keeps us from reading or writing.
  std::string StatusJson() const;

 private:
  Task<void> RemoveGoneReports(StopToken stop);
  Task<void> RemoveStartupTaints(StopToken stop);

  Parts parts_;
  SharedReports shared_;
  status::LeaderElection election_;
  std::optional<StartupTaint> startup_taint_;
  StatusReconciler status_;
};

}  // namespace heddle::controlplane
