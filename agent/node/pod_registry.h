#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/functional/any_invocable.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/capture_record.h"
#include "agent/node/cni_server.h"
#include "agent/node/node_pods.h"
#include "agent/node/pod_capture.h"
#include "agent/node/pod_processes.h"
#include "agent/node/stray_processes.h"

namespace heddle::agent {

struct PodRegistryStats {
  uint64_t captured_total = 0;
  uint64_t released_total = 0;
  uint64_t repaired_total = 0;             // Gaps that the reconciler found and closed.
  uint64_t captured_running_total = 0;     // Of the captured ones: their processes ran before.
  uint64_t faster_total = 0;               // Of those: no label took them in, as far as is known.
  uint64_t open_before_capture_total = 0;  // Connections that were open then, and went on outside.
  size_t stray_processes = 0;              // In captured netns but outside the cgroup of the hooks.
  // At the last look: pods that should be captured and are not, or not all of their processes.
  uint64_t gaps = 0;
};

// What is captured on this node, as a person asks for it.
struct PodStatus {
  CaptureRecord record;
  bool captured = false;             // As the kernel said at the last look.
  std::string problem;               // What was missing then.
  std::vector<StrayProcess> strays;  // Seen at the last look.
  bool leaving = false;  // No longer enrolled: only what was open before is still served.
  // As this process told the kernel last.
  Exclusions exclusions;
  bool fails_open = false;  // Without an agent its connections pass outside the mesh.
};

// A pod that should be captured and is not.
struct UncapturedPod {
  std::string uid;
  std::string namespace_name;
  std::string name;
  std::string problem;
};

// How long a pod that is no longer enrolled stays with us.
struct LeaveTimes {
  // At least: those who have not heard of it yet still come by HBONE.
  absl::Duration announce = absl::Seconds(10);
  // At most, while connections are open that the proxy has.
  absl::Duration drain_max = absl::Minutes(10);
};

// Every pod that this agent captures: takes them at CNI ADD, or in place when they run already and
// the controller says that they are enrolled; adopts them again after a restart; compares what
// should be with what the kernel says and repairs it; lets them go at DEL, when their netns is gone,
// or when the controller says that they are enrolled no more. One command per pod at a time. Control
// loop only.
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
    LeaveTimes leave = {};
    // Of these a pod starts although the controller has not told of it: the controller may be one.
    std::vector<std::string> exempt_namespaces = {};
  };
  explicit PodRegistry(const Parts& parts) : parts_(parts), idle_(parts.loop) {}
  ~PodRegistry() override;

  // CNI commands. ADD returns when the pod was read back as captured, or need not be. DEL returns
  // when nothing of the capture is left, or asks to be tried again.
  Task<cni::Reply> Handle(cni::Request request, UniqueFd netns, StopToken stop) override;
  void PrepareNext() override { parts_.capture.PrepareNext(); }

  // Serves again the pods that were captured before this process started. Call before the CNI
  // socket opens.
  Task<void> AdoptAll();
  // Compares and repairs, once; called when NextLook() has passed, and on events. One at a time.
  Task<void> Reconcile();
  // There is a new state in NodePods: applies what it says about settings and plaintext. True: it
  // says of a running pod that it is enrolled, or no more; Reconcile() sees to it.
  bool StateChanged();
  // How long Reconcile() can wait.
  absl::Duration NextLook() const;
  // The mesh leaves this node: whatever the state says, nothing is captured any more, and what is
  // captured leaves within these times. Reconcile() sees to it; asked for again with other times, they
  // count from now on. StayAll() takes it back.
  void LeaveAll(const LeaveTimes& times) { leave_all_ = times; }
  void StayAll() { leave_all_.reset(); }
  // What is still captured, or about to be.
  size_t Remaining() const { return pods_.size() + unadopted_.size() + busy_.size(); }

  // The agent goes, the capture stays: forgets the pods without touching the kernel.
  Task<void> Abandon(PodObserver& proxy);

  std::vector<PodStatus> List() const;
  // As of the last look; without those that are just being started.
  std::vector<UncapturedPod> Uncaptured() const;
  // Captured, whatever else is said of it.
  bool Holds(const PodUid& uid) const { return pods_.contains(uid.ToString()); }
  const PodRegistryStats& stats() const { return stats_; }
  // Called whenever the set of captured pods changed, or what is missing in one.
  void OnChange(absl::AnyInvocable<void()> listener) { on_change_ = std::move(listener); }

 private:
  struct Entry {
    std::unique_ptr<LivePod> pod;
    std::string problem;
    std::vector<StrayProcess> strays;
    MonotonicTime since{};    // Captured or adopted.
    MonotonicTime left_at{};  // Since when it leaves.
    bool announced = false;   // At the last look it was known as reachable by HBONE.
  };
  // A running pod that could not be captured.
  struct Attempt {
    std::string problem;
    absl::Duration pause;  // After a step that the pod may have felt. Zero: the next look.
    MonotonicTime next{};
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
  CaptureRecord MakeRecord(const NodePod& pod) const;
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
  void TellProblems();
  void Insert(std::unique_ptr<LivePod> pod);
  void ApplyState(LivePod& pod);
  Task<void> Release(std::string uid, std::string_view why);
  Task<void> ReconcilePod(std::string uid);
  Task<void> LookForStrays();
  Task<void> Leave(std::string uid);
  void Stay(LivePod& pod);
  void TakeInboundWhenAnnounced(Entry& entry);
  bool MayStay(const NodePod& pod) const { return !leave_all_ && pod.in_mesh(); }
  bool IsKnown(const std::string& uid) const;
  void ForgetAttempts();
  absl::flat_hash_set<std::string> Missing() const;
  Task<void> CaptureRunningPods();
  Task<void> TryRunning(std::string uid, PodSearch& search);
  Task<absl::Status> CaptureInPlace(NodePodRef pod, PodPlace place);
  void NoteUncaptured(const NodePod& pod, std::string problem, bool felt);
  Task<void> FollowProcesses();
  Task<void> Search(PodSearch& search);
  Entry* Find(std::string_view uid);
  bool IsExempt(std::string_view name_space) const;
  void Changed();

  const Parts parts_;
  std::optional<LeaveTimes> leave_all_;
  absl::flat_hash_map<std::string, Entry> pods_;
  // Captured in the kernel by the agent before us, but not served: adopting them failed so far, or is
  // under way. By UID.
  absl::flat_hash_map<std::string, CaptureRecord> unadopted_;
  absl::flat_hash_map<std::string, Command> busy_;  // By UID.
  WaitQueue idle_;
  absl::flat_hash_map<std::string, Attempt> attempts_;  // By UID.
  // By UID: pods of which the controller has said, to this agent or in the state that it began with, that
  // they are not enrolled, and those that were let go. They are outside rightly.
  absl::flat_hash_set<std::string> rightly_outside_;
  // By UID: sandboxes that a DEL has ended, whose pods the controller still lists.
  absl::flat_hash_map<std::string, NetnsInode> ended_;
  size_t unowned_ = 0;  // Records of the kernel that nobody here knows, at the last look.
  PodRegistryStats stats_;
  std::map<std::string, std::string> told_;  // By UID: what was missing at the last look.
  absl::AnyInvocable<void()> on_change_;
};

}  // namespace heddle::agent
