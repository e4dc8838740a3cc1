#pragma once

#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/policy_levels.h"
#include "proto/authorization.pb.h"

namespace heddle::controlplane::translate {

// PeerAuthentications become DENY policies on connections without an identity. PolicyLevels says
// which one counts; UNSET inherits; the default is PERMISSIVE. DISABLE is treated like PERMISSIVE.
//
// On the wire STRICT is one static policy that the workload lists; port level modes are one policy
// for each object. Points into `objects`.
class PeerAuthentications {
 public:
  PeerAuthentications(const api::ObjectStore& objects, const MeshOptions& options);

  // Appends the "namespace/name" of policies that say what the pod takes.
  void AppendFor(const api::Pod& pod, std::vector<std::string>& policies) const;
  // All policies that AppendFor can name; none if there is no PeerAuthentication.
  std::vector<istio::security::Authorization> Policies() const;
  std::vector<api::ObjectStatus> Statuses() const;

 private:
  // What a workload level object comes to.
  struct Effective {
    bool strict = false;
    std::vector<uint16_t> exceptions;  // Ports where the other mode holds.
  };

  bool InheritedStrict(const std::string& name_space) const;
  Effective EffectiveOf(const api::PeerAuthentication& policy) const;

  const api::ObjectStore& objects_;
  const MeshOptions& options_;
  const PolicyLevels<api::PeerAuthentication> levels_;
};

}  // namespace heddle::controlplane::translate
