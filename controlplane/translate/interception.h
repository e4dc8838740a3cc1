#pragma once

#include <map>
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
//
// An annotation that cannot be read has no effect, and neither have those that name what to include:
// more is captured then, never less. Points into `objects`.
class Interceptions {
 public:
  Interceptions(const api::ObjectStore& objects, const MeshOptions& options);

  // Of an enrolled pod. Remembers for Statuses() which policy counted; `notes` gets a sentence for
  // each annotation without effect.
  heddle::node::v1::Interception Of(const api::Pod& pod, std::vector<std::string>& notes);
  // Of each policy: for how many pods it counts, and who wins over it where it does not.
  std::vector<api::ObjectStatus> Statuses() const;

 private:
  struct Use {
    size_t pods = 0;
    size_t lost = 0;                                  // Pods that an older one counts for.
    const api::InterceptionPolicy* winner = nullptr;  // The first of those.
  };
  const api::InterceptionPolicy* Choose(const api::Pod& pod);

  const api::ObjectStore& objects_;
  const PolicyLevels<api::InterceptionPolicy> levels_;
  std::map<const api::InterceptionPolicy*, Use> uses_;
};

}  // namespace heddle::controlplane::translate
