#pragma once

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
};

// Takes a pod's traffic and gives it back: the steps, in the order that leaves no gap, each undone
// in reverse when a later one fails.
//
//   capture   settings and marked delivery in the netns -> listeners in LISTEN -> record in hd_pods
//             (from here on connects are redirected) -> sk_lookup link -> proxy serves the listeners
//             -> all of it read back from the kernel
//   release   record says releasing -> proxy lets go -> link, record, settings
//
// A pod that was captured before, by an agent that is gone, stays captured when a step fails: its
// processes run, and what is undone would let their traffic out in plaintext.
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

  // `record` says who and where; cookie and addresses were found inside the netns. `netns` is kept
  // open. `pod` has the settings; null when the agent restarts without them: the kernel's record,
  // which outlived it, keeps its own.
  Task<absl::StatusOr<std::unique_ptr<LivePod>>> Capture(CaptureRecord record, UniqueFd netns,
                                                         NodePodRef pod);

  // Ends the capture. What is gone already is no error; what fails is logged and left to the
  // reconciler.
  Task<void> Release(std::unique_ptr<LivePod> pod);

  // Removes what the kernel still has of a capture whose netns is gone.
  void Forget(const CaptureRecord& record);

  // Reads back from the kernel that the pod is captured; says what is missing.
  Task<absl::Status> Verify(const LivePod& pod);
  // Repairs what Verify can find missing but listeners, for which the pod is captured anew.
  Task<absl::Status> Repair(LivePod& pod);

  // Changed settings of the pod, or a changed answer to whether all plaintext is denied.
  absl::Status Update(LivePod& pod, const Interception& interception, bool refuse_plaintext);

  // The addresses and the cookie of a netns.
  struct Inside {
    uint64_t cookie = 0;
    std::vector<io::IpAddress> addresses;
  };
  Task<absl::StatusOr<Inside>> LookInside(int netns_fd);

  const OriginalDestinations& original_destinations() const { return original_destinations_; }

 private:
  struct Listeners;
  Task<absl::Status> PrepareNetns(LivePod& pod, Listeners& listeners);
  absl::Status ProgramKernel(LivePod& pod, const Listeners& listeners, const NodePodRef& settings);
  Task<void> HandToProxy(LivePod& pod, Listeners listeners);
  Task<void> RestoreNetns(const LivePod& pod);
  void Detach(const CaptureRecord& record);

  const Parts parts_;
  PodMaps maps_;
  PodLookupLinks lookups_;
  OriginalDestinations original_destinations_;
};

}  // namespace heddle::agent
