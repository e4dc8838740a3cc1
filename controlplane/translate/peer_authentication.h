#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/mesh_options.h"
#include "proto/authorization.pb.h"

namespace heddle::controlplane::translate {

// PeerAuthentications become DENY policies on connections without an identity. Workload level (a
// selector, not in the root namespace) wins over namespace level, that over mesh level (root
// namespace); UNSET inherits; the default is PERMISSIVE. At each level only the oldest counts.
// DISABLE is treated like PERMISSIVE. A selector in the root namespace has no effect.
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
  std::map<std::string, const api::PeerAuthentication*>
      namespace_level_;  // The mesh's under the root namespace.
  std::map<std::string, std::vector<const api::PeerAuthentication*>>
      workload_level_;  // Oldest first.
};

}  // namespace heddle::controlplane::translate
