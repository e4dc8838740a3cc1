#pragma once

#include <set>
#include <string>

#include "controlplane/cluster.h"
#include "controlplane/mesh.h"
#include "controlplane/pod_conditions.h"
#include "controlplane/sources/source.h"
#include "controlplane/status/event_recorder.h"
#include "controlplane/status/leader_election.h"
#include "controlplane/status/status_writer.h"
#include "controlplane/status/verdicts.h"
#include "lib/io/loop_pool.h"

namespace heddle::controlplane {

// Says in a cluster what became of the policies that people apply, and which pods are captured.
//
//   mesh and reports --> Judge (on a thread of its own) --> StatusWriter --> conditions
//   objects as they came --------------------------------->      |
//                                                                +--> EventRecorder --> Events
//
// At most once a second, since whoever reads it is a person. Every controller judges, so that metrics
// are the same everywhere; the one that leads writes. One loop's.
class StatusReconciler final : public sources::RawObserver {
 public:
  struct Parts {
    io::Loop& loop;
    Cluster& cluster;
    Mesh& mesh;
    sources::Source& source;
    status::LeaderElection& election;
    const translate::MeshOptions& options;
    std::string instance;
    metrics::Registry& registry;
  };
  explicit StatusReconciler(Parts parts);

  Task<void> Run(StopToken stop);
  // Nodes have reported.
  void Changed() { changed_.Set(); }

  size_t waiting() const { return writer_.waiting(); }
  const std::string& trouble() const { return writer_.trouble(); }

 private:
  void OnRaw(const api::ObjectKey& key, const std::string& collection,
             const kube::RawObject& object) override;
  void OnRawGone(const api::ObjectKey& key) override { writer_.Forget(key); }

  Task<void> FollowMesh(StopToken stop);
  Task<void> Reconcile(StopToken stop);
  // On the judge's thread: what changed, then what became of everything.
  Task<void> JudgeAll(const std::vector<api::ObjectChange>& changes, status::Verdicts& verdicts);
  void SayOfPolicies(const status::Verdicts& verdicts);
  Task<void> SayOfPods(const status::Verdicts& verdicts, StopToken stop);

  Parts parts_;
  io::LoopPool judge_;
  status::EventRecorder events_;
  status::StatusWriter writer_;
  PodConditions pods_;
  // The judge's while it works. Its objects are a store of their own, which follows the mesh's: that
  // one changes meanwhile, and a copy of a large one would hold up the loop.
  status::Knowledge knowledge_;
  std::vector<api::ObjectChange> unjudged_;  // What `knowledge_` does not have yet.
  Event changed_;
  metrics::Gauge not_captured_;
};

}  // namespace heddle::controlplane
