#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/resource.h"
#include "proto/authorization.pb.h"

namespace heddle::controlplane::translate {

// An AuthorizationPolicy as L4 proxies enforce it, conservatively: a rule of an ALLOW that needs
// HTTP is left out (an ALLOW that loses all rules allows nothing), in a rule of a DENY what needs
// HTTP is dropped (so it denies more; one that would then deny everything was refused when it was
// decoded). Empty when it is not for L4 proxies: AUDIT, or targetRefs. `status` says so.
std::optional<istio::security::Authorization> TranslatePolicy(
    const api::AuthorizationPolicy& policy, const MeshOptions& options, api::ObjectStatus& status);

// A policy that was made, as a resource of kAuthorizationType: "namespace/name".
Resource PolicyResource(const istio::security::Authorization& message);

// Whether the policy's selector decides about workloads: it has one, and the policy is for L4 proxies.
bool SelectsWorkloads(const api::AuthorizationPolicy& policy);

// The policies with a selector that name a pod: those of its own namespace and, unlike
// PeerAuthentications, those of the root namespace. Points into `objects`.
class PolicySelectors {
 public:
  PolicySelectors(const api::ObjectStore& objects, const MeshOptions& options);
  // Appends "namespace/name".
  void AppendFor(const api::Pod& pod, std::vector<std::string>& policies) const;

 private:
  using Policies = std::vector<const api::AuthorizationPolicy*>;
  void AppendMatching(const std::string& name_space, const api::Pod& pod,
                      std::vector<std::string>& policies) const;

  const MeshOptions& options_;
  std::map<std::string, Policies> by_namespace_;
};

}  // namespace heddle::controlplane::translate
