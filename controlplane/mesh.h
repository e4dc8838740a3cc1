#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/ca/node_tokens.h"
#include "controlplane/capture_file.h"
#include "controlplane/capture_reports.h"
#include "controlplane/removal_progress.h"
#include "controlplane/sources/source.h"
#include "controlplane/translate/incremental_translation.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/xds/published_state.h"
#include "lib/base/intrusive_list.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/io/loop_pool.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// The mesh as the controller knows it: objects and capture reports in, what is published out.
//
//   source ----> objects ---+--> translation --> published state --> watchers (one per subscriber)
//   capture reports --------+                +-> tokens of nodes
//         +--> capture file (read at start)
//
// A change is translated at once, at the cost of what it affects (IncrementalTranslation); what changes
// meanwhile is in the next translation. Subscribers that are still busy with the last response
// coalesce further (DeltaSubscriber). Belongs to one loop; the translation itself runs on a thread of
// its own, and the store stands still until it is done: the source is asked only between two. Memory:
// the objects, and their resources encoded once.
class Mesh {
 public:
  struct Parts {
    io::Loop& loop;
    sources::Source& source;
    ca::NodeTokens* tokens;  // Null where nodes prove themselves without.
    CaptureFile capture_file;
    translate::MeshOptions options;
    metrics::Registry& registry;
  };
  // Reads what the source gives at once; a directory gives everything.
  explicit Mesh(Parts parts);

  // Told after each publication, on a later turn. Leaves when it is destroyed.
  class Watcher : public ListNode {
   public:
    explicit Watcher(Mesh& mesh) : changed(mesh.parts_.loop) { mesh.watchers_.PushBack(*this); }
    Event changed;
  };

  // Follows the source and the reports until stopped.
  Task<void> Run(StopToken stop);

  // Waits until the source has been read once and that is published: nobody may be served half a
  // mesh, or an empty one. False when stopped before.
  Task<bool> Ready(StopToken stop) { co_return co_await ready_.Wait(stop); }

  // Nothing is published before ReportsKnown() is called as well: captured pods would be announced as
  // plain. Call before Run().
  void AwaitReports() { reports_awaited_ = true; }
  void ReportsKnown() {
    reports_awaited_ = false;
    dirty_.Set();
  }
  // A RemovalWriter writes down how far a removal is (RemovalProgress). Call before Run().
  void AwaitRemovalRecords() { removal_.AwaitRecords(); }
  // After a change of reports().
  void ReportsChanged() {
    if (ready_.set() && reports_.generation() != translated_reports_) dirty_.Set();
  }
  // Nobody tells of some node any more: if the cluster does not know it either, nothing is captured
  // there, and a removal does not wait for it.
  void ReportForgotten() {
    if (ready_.set()) reports_.Retain(node_names_);
    ReportsChanged();
  }
  CaptureReports& reports() { return reports_; }

  // The node has acknowledged all that there is for it at the moment.
  void NodeInSync(const std::string& node);
  // What a node's agent says of its part in the removal of the mesh; null: its stream is gone.
  void NodeReported(const std::string& node, const NodeRemovalReport* report);
  const RemovalProgress& removal() const { return removal_; }

  const xds::PublishedState& published() const { return published_; }
  const api::ObjectStore& objects() const { return objects_; }
  // Called with each change of objects() from now on, for who keeps a store of his own: one of a
  // large mesh is not copied in passing. One follower, who outlives Run().
  using ObjectFollower = absl::AnyInvocable<void(const std::vector<api::ObjectChange>&)>;
  void FollowObjects(ObjectFollower follower) { object_follower_ = std::move(follower); }
  const std::vector<api::Problem>& problems() const { return parts_.source.problems(); }
  // Whether a live pod with this uid is bound to the node.
  bool IsBound(const std::string& node, const std::string& uid) const;

 private:
  // Takes what the source has into the store and into `changes_`.
  void ReadSource();
  bool MustTranslate() const;
  void LogProblems();
  void RestoreReports();
  void SaveReports();
  Task<void> KeepReportsSaved(StopToken stop);
  std::set<std::string> NodesOfRemoval() const;
  // Has what changed in the removal translated, and told to the watchers.
  void FollowRemoval(uint64_t before);
  // What has changed since the last translation.
  struct Input {
    translate::MeshChanges changes;
    MonotonicTime began;
  };
  Input TakeInput();
  xds::Publication Translate(const Input& input) {
    return xds::Encode(translation_.Update(input.changes));
  }
  Task<void> TranslateInto(const Input& input, xds::Publication& output);
  void Publish(const Input& input, xds::Publication publication);
  // Nodes that came get tokens, and reports of those that went are dropped.
  void LookAtNodes();

  Parts parts_;
  io::LoopPool translator_;
  api::ObjectStore objects_;                // Read by the translator's thread during a translation.
  std::vector<api::ObjectChange> changes_;  // Not translated yet.
  ObjectFollower object_follower_;
  bool nodes_changed_ = true;
  bool nodes_have_tokens_ = false;
  std::set<std::string> node_names_;
  translate::IncrementalTranslation translation_;
  CaptureReports reports_;
  RemovalProgress removal_;
  translate::RemovalPhase logged_removal_ = translate::RemovalPhase::kNone;
  xds::PublishedState published_;
  std::vector<api::Problem> logged_;
  uint64_t translated_removal_ = 0;  // A generation of removal_.
  uint64_t translated_reports_ = 0;  // Generations of reports_.
  uint64_t saved_reports_ = 0;
  bool reports_awaited_ = false;
  IntrusiveList<Watcher> watchers_;
  Event dirty_;
  Event unsaved_;
  Event ready_;
  metrics::Counter translations_;
  metrics::Counter translating_us_;
  metrics::Gauge objects_held_;
  metrics::Gauge problems_held_;
};

}  // namespace heddle::controlplane
