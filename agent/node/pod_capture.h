#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/status/statusor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/model/node_pod.h"
#include "agent/node/bpf_loader.h"
#include "agent/node/capture_record.h"
#include "agent/node/kernel_pod_network.h"
#include "agent/node/original_destination.h"
#include "agent/node/pod_lookup_link.h"
#include "agent/node/pod_maps.h"
#include "agent/seams/pod_network.h"

namespace heddle::agent {

// A pod that is captured, and what this process holds of it. Made and ended by PodCapture.
struct LivePod {
  CaptureRecord record;
  std::shared_ptr<KernelPodNetwork> network;
  Exclusions exclusions;  // What exclusion_set holds.
  PodRecord kernel;       // As it was written last.
  bool served = false;    // The proxy has it.
  // Its inbound connections are not taken yet (CaptureRunning).
  bool inbound_waits = false;

  bool leaving() const { return kernel.state == HD_POD_RELEASING; }
};

// Takes a pod's traffic and gives it back: the steps, in the order that leaves no gap, each undone
// in reverse when a later one fails.
//
//   capture   record in hd_pods and sk_lookup link (from here on connections are refused) -> settings
//             and marked delivery in the netns -> listeners in LISTEN (from here on they are
//             redirected) -> proxy serves the listeners -> all of it read back from the kernel
//   running   settings and marked delivery in the netns -> listeners -> proxy serves the listeners ->
//             record (from here on connects are redirected) -> read back; later, by TakeInbound(),
//             the sk_lookup link. The pod has been outside so far: nothing needs to be refused first
//   leave     record says releasing: new connections pass untouched, what the proxy has goes on
//   release   as leave, if that was not before -> proxy lets go -> link, record, settings
//
// A pod that was captured before stays captured when a step fails: its processes run, and what is
// undone would let their traffic out in plaintext. Its record stays in hd_pods all the time; without
// listeners it means that connections are refused (or meet the pod's fail mode).
//
// Control loop only.
class PodCapture {
 public:
  struct Parts {
    io::Loop& loop;
    Clock& clock;
    NetnsThread& netns_thread;
    BpfLoader& bpf;
    PodObserver& proxy;
    std::span<io::Loop* const> workers;
  };
  explicit PodCapture(const Parts& parts);

  // For ADD. `record` says who and where; cookie and addresses were found inside the netns. `netns`
  // is kept open. When a step fails, all of them are undone.
  Task<absl::StatusOr<std::unique_ptr<LivePod>>> Capture(CaptureRecord record, UniqueFd netns,
                                                         NodePodRef settings);
  // For a pod whose processes run, outside of the mesh so far: no connect is refused on the way, and
  // connections that are open go on untouched. When a step fails, all of them are undone.
  Task<absl::StatusOr<std::unique_ptr<LivePod>>> CaptureRunning(CaptureRecord record,
                                                                UniqueFd netns,
                                                                NodePodRef settings);
  // The last step of CaptureRunning, to be made once others have been told to use HBONE: from here on
  // policy is asked about plaintext.
  absl::Status TakeInbound(LivePod& pod);

  // The pod is to leave the mesh: new connections of both directions pass untouched. Those that the
  // proxy has go on, and HBONE is still accepted from those who have not heard of it.
  absl::Status BeginRelease(LivePod& pod);
  // It stays, after all.
  absl::Status CancelRelease(LivePod& pod);
  // Ends the capture that an agent before us made of a pod which is to leave.
  Task<void> ReleaseUnserved(CaptureRecord record, UniqueFd netns);
  // How many of its connections the proxy has.
  Task<size_t> CountConnections(const LivePod& pod);

  // For a pod that an agent before us captured; what fails stays as far as it came. `settings` is
  // null when the agent starts without them: the kernel's record, which outlived it, keeps its own.
  Task<absl::StatusOr<std::unique_ptr<LivePod>>> Adopt(CaptureRecord record, UniqueFd netns,
                                                       NodePodRef settings);
  // The same pod in the same netns, with another record of it. The proxy ends its connections; when
  // a step fails, Repair() may be tried again.
  Task<absl::Status> CaptureAgain(LivePod& pod, CaptureRecord record, NodePodRef settings);

  // Ends the capture. What is gone already is no error; what fails is logged and left to the
  // reconciler.
  Task<void> Release(std::unique_ptr<LivePod> pod);

  // Removes what the kernel still has of a capture whose netns is gone, or which nobody serves.
  void Forget(const CaptureRecord& record) { Forget(record.netns_cookie); }
  // Does so for every record of the kernel that is not among `known` and whose netns is gone.
  // Returns how many others are not known: nobody serves those pods.
  size_t ForgetTheDead(const absl::flat_hash_set<uint64_t>& known);

  // Does now what the next pod's capture would take long for. For a moment when nobody waits.
  void PrepareNext() { lookups_.Prepare(); }

  // Reads back from the kernel that the pod is captured; says what is missing.
  Task<absl::Status> Verify(const LivePod& pod);
  // Repairs what Verify can find missing. If that needs other listeners, the pod's connections end.
  Task<absl::Status> Repair(LivePod& pod);

  // Changed settings of the pod, or a changed answer to whether all plaintext is denied. Costs no
  // system call when neither has changed: it is asked for every pod with every state that comes.
  // Exclusions for which the kernel has no room are an error, and none of the pod's holds then: more is
  // captured, never less. The rest is applied all the same.
  absl::Status Update(LivePod& pod, const Interception& interception, bool refuse_plaintext);

  // The addresses and the cookie of a netns.
  struct Inside {
    uint64_t cookie = 0;
    std::vector<io::IpAddress> addresses;
  };
  Task<absl::StatusOr<Inside>> LookInside(int netns_fd);

  // Of a netns that is not captured: how many connections are open. An error when somebody listens on
  // a port of ours, as another mesh's proxy does.
  Task<absl::StatusOr<size_t>> LookAtSockets(int netns_fd);

  const OriginalDestinations& original_destinations() const { return original_destinations_; }

 private:
  struct Listeners;
  std::unique_ptr<LivePod> MakeLivePod(CaptureRecord record, UniqueFd netns);
  Task<absl::Status> TakeOver(LivePod& pod, NodePodRef settings);
  Task<absl::Status> TakeOverRunning(LivePod& pod, NodePodRef settings);
  Task<absl::Status> PrepareNetns(LivePod& pod, Listeners& listeners);
  absl::Status Write(LivePod& pod, const Interception& interception, bool refuse_plaintext);
  absl::Status PutRecord(LivePod& pod, const NodePodRef& settings);
  Task<absl::Status> Serve(LivePod& pod);
  Task<void> HandToProxy(LivePod& pod, Listeners listeners);
  Task<void> TakeFromProxy(LivePod& pod);
  Task<void> Undo(LivePod& pod);
  Task<void> RestoreNetns(const LivePod& pod);
  absl::Status CheckKernel(const LivePod& pod) const;
  void Forget(uint64_t netns_cookie);
  void Detach(uint64_t netns_cookie);

  const Parts parts_;
  PodMaps maps_;
  PodLookupLinks lookups_;
  OriginalDestinations original_destinations_;
};

}  // namespace heddle::agent
