#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/policy_levels.h"
#include "proto/node.pb.h"

namespace heddle::controlplane::translate {

// What of a pod's traffic is left alone. The InterceptionPolicy that counts (PolicyLevels) counts as
// a whole; then each of Istio's annotations that a pod carries replaces the list that it names:
//
//   traffic.sidecar.istio.io/excludeInboundPorts, excludeOutboundPorts, excludeOutboundIPRanges
//   ambient.istio.io/bypass-inbound-capture: "true", inbound blocks that hold all addresses
//
// An annotation that cannot be read has no effect, and neither have those that name what to include:
// more is captured then, never less. Points into `objects`.
class Interceptions {
 public:
  // Which policy counts for a pod, by name.
  struct Choice {
    std::optional<api::NamespacedName> counts;
    std::vector<api::NamespacedName> lost;  // Those that name the pod as well, but are younger.
    bool operator==(const Choice&) const = default;
    bool empty() const { return !counts.has_value() && lost.empty(); }
  };

  Interceptions(const api::ObjectStore& objects, const MeshOptions& options);

  // Of an enrolled pod. `notes` gets a sentence for each annotation without effect.
  heddle::node::v1::Interception Of(const api::Pod& pod, Choice& choice,
                                    std::vector<std::string>& notes) const;
  // Why the policy counts for nobody; empty if it may count.
  std::string WithoutEffect(const api::InterceptionPolicy& policy) const {
    return levels_.WithoutEffect(policy);
  }

 private:
  const api::InterceptionPolicy* Choose(const api::Pod& pod, Choice& choice) const;

  const PolicyLevels<api::InterceptionPolicy> levels_;
};

// For how many pods each policy counts, and which one wins over it where it does not. A value.
class InterceptionUses {
 public:
  void Add(const Interceptions::Choice& choice) { Count(choice, 1); }
  void Remove(const Interceptions::Choice& choice) { Count(choice, -1); }

  // `policy` is one of `objects`, from which `interceptions` was made.
  api::ObjectStatus StatusOf(const api::InterceptionPolicy& policy,
                             const Interceptions& interceptions,
                             const api::ObjectStore& objects) const;

 private:
  struct Use {
    int64_t pods = 0;
    std::map<api::NamespacedName, int64_t> lost_to;  // Pods that this one counts for instead.
    bool empty() const { return pods == 0 && lost_to.empty(); }
  };
  void Count(const Interceptions::Choice& choice, int64_t pods);

  std::map<api::NamespacedName, Use> uses_;
};

}  // namespace heddle::controlplane::translate
