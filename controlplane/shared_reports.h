#pragma once

#include <absl/functional/any_invocable.h>

#include <map>
#include <set>
#include <string>

#include "controlplane/capture_reports.h"
#include "controlplane/report_object.h"
#include "lib/base/backoff.h"
#include "lib/base/random.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/kube/reflector.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// What nodes report, told between controllers: a node reports to one, and all announce the same.
//
//   reports to this controller --> CaptureReports --> ConfigMap of the node (report_object.h)
//   ConfigMaps of all nodes -----> CaptureReports (counts where the node does not report here)
//
// The controller that a node reports to writes; one write at a time, of what is newest, and of one
// node the less often the more it has to say. When another
// has written over it, as one whose stream of that node hangs may, it writes again after a
// while. The ConfigMaps are also what outlives all controllers, as CaptureFile does for one. What
// cannot be written or read changes nothing here. One loop's.
class SharedReports final : public kube::ObjectSink {
 public:
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    Random& random;
    CaptureReports& reports;
    std::string name_space;  // Where the ConfigMaps are.
    std::string instance;    // This controller among the others.
    metrics::Registry& registry;
    // A node has reported, here or elsewhere.
    absl::AnyInvocable<void()> heard;
    // The reports have changed by what others heard.
    absl::AnyInvocable<void()> changed;
    // Nobody tells of some node any more.
    absl::AnyInvocable<void()> forgotten;
    // All that others have heard has been read once.
    absl::AnyInvocable<void()> known;
  };
  explicit SharedReports(Parts parts);

  // Reads and writes until stopped. Once.
  Task<void> Run(StopToken stop);
  // Deletes what was told of nodes that are not among these. For one controller to do.
  Task<void> RemoveOthers(std::set<std::string> nodes, StopToken stop);

  // What keeps it from reading or writing; empty when nothing does.
  std::string trouble() const;
  bool synced() const { return reflector_.state().synced(); }

 private:
  void OnObject(const kube::RawObject& object) override;
  void OnGone(const kube::ObjectName& name) override;
  void OnState(const kube::ReflectorState& state) override;

  // Of one node, since we started.
  struct Writes {
    explicit Writes(MonotonicTime now);
    MonotonicTime not_before;
    Backoff pace;
    Backoff after_failure;
  };

  Task<void> WriteAll(StopToken stop);
  Task<void> Write(std::string node, StopToken stop);
  void WriteLater(const std::string& node, absl::Duration wait);
  void WriteFailed(const std::string& node, const absl::Status& failure);
  std::string PathOf(const std::string& node) const;

  Parts parts_;
  kube::Reflector reflector_;
  // What the cluster has, as far as we know. By node.
  std::map<std::string, CaptureSummary> seen_;
  std::map<std::string, Writes> writes_;
  std::map<std::string, MonotonicTime> due_;  // Nodes of whom something is to be written.
  WaitQueue due_changed_;
  std::string read_trouble_;
  std::string write_trouble_;
  bool known_ = false;
  metrics::Counter written_;
  metrics::Counter failed_;
};

}  // namespace heddle::controlplane
