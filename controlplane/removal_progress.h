#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "controlplane/api/objects.h"
#include "controlplane/translate/removal_phase.h"

namespace heddle::controlplane {

// How long a node may let open connections go on, unless the ConfigMap says otherwise ("drainSeconds").
inline constexpr absl::Duration kDefaultRemovalDrain = absl::Seconds(60);
inline constexpr absl::Duration kMaxRemovalDrain = absl::Hours(1);

// What an agent has said last of its node.
struct NodeRemovalReport {
  bool gone = false;  // Read from the kernel: nothing of the mesh is left.
  std::string note;   // What is still there, for people.
};

// How far the mesh is in leaving the cluster, phase by phase, each confirmed by every node that takes
// part before the next begins (decision 014). What is confirmed is kept in the ConfigMap that asks for
// the removal, so that every controller sees the same and a restart forgets nothing: "phase", and
// "node.NAME" for each node; what this controller has seen itself counts more. Phases never go back
// while that ConfigMap is there; when it goes, all is as before. Pure; one thread's.
class RemovalProgress {
 public:
  // Somebody writes Record() into the ConfigMap: a phase after the first one begins when it is seen
  // there, so that no controller, and none after a restart, is behind what nodes were told. Without
  // that (a directory, one controller) it begins when the one before is confirmed.
  void AwaitRecords() { records_awaited_ = true; }
  // The ConfigMap as the source has it; null: the mesh stays.
  void SetRequest(const api::Removal* request);
  // Those that must confirm: where an agent runs, or something is captured.
  void SetNodes(std::set<std::string> nodes);

  // From now on the nodes are sent a state of this phase.
  void Published(translate::RemovalPhase phase);
  // The node has acknowledged all that there is for it at the moment.
  void InSync(const std::string& node);
  void Reported(const std::string& node, NodeRemovalReport report);
  // The agent's stream is gone: what it last said is said no more.
  void Silent(const std::string& node) { reports_.erase(node); }

  bool requested() const { return requested_; }
  translate::RemovalPhase phase() const { return phase_; }
  // The phase is kRelease, and every node has let go.
  bool done() const;
  // The agents are to let go. While this is false and requested() is true they are to stay as they
  // are: one that has let go does not come back because a controller is behind.
  bool release() const {
    return phase_ == translate::RemovalPhase::kRelease &&
           published_ == translate::RemovalPhase::kRelease;
  }
  absl::Duration drain() const { return drain_; }

  // The ConfigMap's data as it should be, without what is not ours. Empty when nothing is requested.
  std::map<std::string, std::string> Record() const;
  // Grows when phase(), release() or drain() has changed.
  uint64_t generation() const { return generation_; }

 private:
  enum class Step : uint8_t { kNone, kRelaxed, kPlain, kGone };
  static std::string_view Name(Step step);
  static Step ParseStep(std::string_view text);
  Step StepOf(const std::string& node) const;
  bool AllAtLeast(Step step) const;
  void Advance();
  void SetPhase(translate::RemovalPhase phase);
  std::string EntryOf(const std::string& node) const;

  bool requested_ = false;
  bool records_awaited_ = false;
  std::string uid_;  // Of the ConfigMap.
  absl::Duration drain_ = kDefaultRemovalDrain;
  translate::RemovalPhase phase_ = translate::RemovalPhase::kNone;
  translate::RemovalPhase published_ = translate::RemovalPhase::kNone;
  // What every node has confirmed the phase before of: written down, and begun when it is.
  translate::RemovalPhase confirmed_phase_ = translate::RemovalPhase::kNone;
  std::set<std::string> nodes_;
  std::map<std::string, Step> confirmed_;             // As seen here.
  std::map<std::string, NodeRemovalReport> reports_;  // Of agents that are connected here.
  std::map<std::string, std::string> recorded_;       // "node.NAME" of the ConfigMap, by node.
  uint64_t generation_ = 0;
};

}  // namespace heddle::controlplane
