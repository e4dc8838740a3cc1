#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/capture_record.h"
#include "agent/node/cni_server.h"
#include "agent/node/node_pods.h"
#include "agent/node/pod_capture.h"
#include "agent/node/stray_processes.h"

namespace heddle::agent {

struct PodRegistryStats {
  uint64_t captured_total = 0;
  uint64_t released_total = 0;
  uint64_t repaired_total = 0;  // Gaps that the reconciler found and closed.
  size_t stray_processes = 0;   // In captured netns but outside the cgroup of the hooks.
  // At the last look: pods that should be captured and are not, or not all of their processes.
  uint64_t gaps = 0;
};

// What is captured on this node, as a person asks for it.
struct PodStatus {
  CaptureRecord record;
  bool captured = false;             // As the kernel said at the last look.
  std::string problem;               // What was missing then.
  std::vector<StrayProcess> strays;  // Seen at the last look.
};

// Every pod that this agent captures: takes them at CNI ADD, adopts them again after a restart,
// compares what should be with what the kernel says and repairs it, lets them go at DEL or when
// their netns is gone. One command per pod at a time. Control loop only.
class PodRegistry final : public CniHandler {
 public:
  struct Parts {
    io::Loop& loop;
    Clock& clock;
    PodCapture& capture;
    CaptureRecordStore& records;
    NodePods& node_pods;
    NetnsInode host_netns;
    NetnsThread& netns_thread;
    std::string cgroup;  // Where the hooks are attached.
  };
  explicit PodRegistry(const Parts& parts) : parts_(parts), idle_(parts.loop) {}
  ~PodRegistry() override;

  // CNI commands. ADD returns when the pod was read back as captured, or need not be. DEL returns
  // when nothing of the capture is left, or asks to be tried again.
  Task<cni::Reply> Handle(cni::Request request, UniqueFd netns, StopToken stop) override;

  // Serves again the pods that were captured before this process started. Call before the CNI
  // socket opens.
  Task<void> AdoptAll();
  // Compares and repairs, once; called every 10 s and on events.
  Task<void> Reconcile();
  // There is a new state in NodePods: applies what it says about settings and plaintext.
  void StateChanged();
  // The agent goes, the capture stays: forgets the pods without touching the kernel.
  Task<void> Abandon(PodObserver& proxy);

  std::vector<PodStatus> List() const;
  const PodRegistryStats& stats() const { return stats_; }
  // Called whenever the set of captured pods changed.
  void OnChange(absl::AnyInvocable<void()> listener) { on_change_ = std::move(listener); }

 private:
  struct Entry {
    std::unique_ptr<LivePod> pod;
    std::string problem;
    std::vector<StrayProcess> strays;
  };
  // A command under way, and what it is about as far as it is known: nobody else may take that
  // netns, and a DEL of that container waits.
  struct Command {
    NetnsInode netns;
    std::string container_id;
    std::string ifname;
  };
  // Keeps other commands of the same pod out until it goes.
  class Busy {
   public:
    Busy(PodRegistry& registry, std::string uid, Command command);
    Busy(PodRegistry& registry, const CaptureRecord& record);
    ~Busy();
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    PodRegistry& registry_;
    const std::string uid_;
  };

  Task<cni::Reply> Add(const cni::Request& request, UniqueFd netns, StopToken stop);
  Task<cni::Reply> CaptureFor(const cni::Request& request, UniqueFd netns, NodePodRef pod);
  Task<cni::Reply> CaptureNew(CaptureRecord record, UniqueFd netns, NodePodRef pod);
  Task<cni::Reply> CaptureAgain(CaptureRecord record, NodePodRef pod);
  Task<cni::Reply> Check(const cni::Request& request, StopToken stop);
  Task<cni::Reply> Delete(const cni::Request& request, StopToken stop);
  Task<cni::Reply> CollectGarbage(const cni::Request& request);
  CaptureRecord MakeRecord(const cni::Request& request, const NodePod& pod) const;
  absl::Status CheckNetns(const std::string& uid, const NetnsInode& netns) const;
  std::optional<std::string> FindAttached(const cni::Request& request) const;
  // Of a pod that is captured, served or not.
  std::optional<std::string> ContainerOf(const std::string& uid) const;
  Task<bool> WaitIdle(std::string uid, StopToken stop);
  Task<void> Adopt(CaptureRecord record);
  Task<void> AdoptTheRest();
  Task<bool> IsGone(CaptureRecord record);
  Task<void> LetGo(std::string uid, std::string_view why);
  void RemoveRecord(std::string_view uid);
  void ForgetGone(const CaptureRecord& record);
  void CountGaps();
  void Insert(std::unique_ptr<LivePod> pod);
  void ApplyState(LivePod& pod);
  Task<void> Release(std::string uid, std::string_view why);
  Task<void> ReconcilePod(std::string uid);
  Task<void> LookForStrays();
  Entry* Find(std::string_view uid);
  void Changed();

  const Parts parts_;
  absl::flat_hash_map<std::string, Entry> pods_;
  // Captured in the kernel by the agent before us, but not served: adopting them failed so far, or is
  // under way. By UID.
  absl::flat_hash_map<std::string, CaptureRecord> unadopted_;
  absl::flat_hash_map<std::string, Command> busy_;  // By UID.
  WaitQueue idle_;
  size_t unowned_ = 0;  // Records of the kernel that nobody here knows, at the last look.
  PodRegistryStats stats_;
  absl::AnyInvocable<void()> on_change_;
};

}  // namespace heddle::agent
