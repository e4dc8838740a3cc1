#pragma once

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
// A change is translated at once; what changes meanwhile is in the next translation. Subscribers
// that are still busy with the last response coalesce further (DeltaSubscriber). Belongs to one
// loop; the translation itself, some tens of milliseconds for 10 000 pods, runs on a thread of its
// own with a copy of the store, which shares the objects. Memory: the objects, and their resources
// encoded once.
class Mesh {
 public:
  struct Parts {
    io::Loop& loop;
    sources::Source& source;
    ca::NodeTokens& tokens;
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
    source_changed_.Set();
  }
  // After a change of reports().
  void ReportsChanged() {
    if (ready_.set() && reports_.generation() != translated_reports_) dirty_.Set();
  }
  CaptureReports& reports() { return reports_; }

  // The node has acknowledged all that there is for it at the moment.
  void NodeInSync(const std::string& node);
  // What a node's agent says of its part in the removal of the mesh; null: its stream is gone.
  void NodeReported(const std::string& node, const NodeRemovalReport* report);
  const RemovalProgress& removal() const { return removal_; }

  const xds::PublishedState& published() const { return published_; }
  const api::ObjectStore& objects() const { return objects_; }
  const std::vector<api::Problem>& problems() const { return parts_.source.problems(); }
  // Whether a live pod with this uid is bound to the node.
  bool IsBound(const std::string& node, const std::string& uid) const;

 private:
  Task<void> FollowSource(StopToken stop);
  // True when there is something to translate.
  bool ReadSource();
  void LogProblems();
  void RestoreReports();
  void SaveReports();
  std::set<std::string> NodesOfRemoval() const;
  // Has what changed in the removal translated, and told to the watchers.
  void FollowRemoval(uint64_t before);
  // What a translation is made from.
  struct Input {
    api::ObjectStore objects;
    translate::CapturedPods captured;
    translate::RemovalPhase removal = translate::RemovalPhase::kNone;
    MonotonicTime began;
  };
  static Task<void> Translate(const Input& input, const translate::MeshOptions& options,
                              translate::Translation& output);
  Input TakeInput();
  void Publish(const Input& input, translate::Translation translation);

  Parts parts_;
  io::LoopPool translator_;
  api::ObjectStore objects_;
  CaptureReports reports_;
  RemovalProgress removal_;
  translate::RemovalPhase logged_removal_ = translate::RemovalPhase::kNone;
  xds::PublishedState published_;
  std::vector<api::Problem> logged_;
  uint64_t translated_reports_ = 0;  // Generations of reports_.
  uint64_t saved_reports_ = 0;
  bool reports_awaited_ = false;
  IntrusiveList<Watcher> watchers_;
  Event source_changed_;
  Event dirty_;
  Event ready_;
  metrics::Counter translations_;
  metrics::Counter translating_us_;
  metrics::Gauge objects_held_;
  metrics::Gauge problems_held_;
};

}  // namespace heddle::controlplane
