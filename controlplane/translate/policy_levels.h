#pragma once

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"

namespace heddle::controlplane::translate {

// Which policy of a kind counts for a workload, where one counts as a whole: workload level (a
// selector, not in the root namespace) wins over namespace level, that over mesh level (root
// namespace). At each level the oldest counts (api::OlderThan). A selector in the root namespace has
// no effect. Points into the store.
template <typename Policy>
class PolicyLevels {
 public:
  PolicyLevels(const api::ObjectStore& objects, std::string root_namespace)
      : root_namespace_(std::move(root_namespace)) {
    for (const auto& [name, policy] : objects.All<Policy>()) {
      if (!policy->selector.empty()) {
        if (name.name_space != root_namespace_)
          workload_level_[name.name_space].push_back(policy.get());
        continue;
      }
      const Policy*& oldest = namespace_level_[name.name_space];
      if (oldest == nullptr || api::OlderThan(policy->meta, oldest->meta)) oldest = policy.get();
    }
    for (auto& [name_space, policies] : workload_level_) {
      std::sort(policies.begin(), policies.end(),
                [](const auto* a, const auto* b) { return api::OlderThan(a->meta, b->meta); });
    }
  }

  // Those with a selector that names the pod, the one that counts first.
  std::vector<const Policy*> Selecting(const api::Pod& pod) const {
    std::vector<const Policy*> selecting;
    const auto found = workload_level_.find(pod.meta.name_space);
    if (found == workload_level_.end()) return selecting;
    for (const Policy* policy : found->second) {
      if (api::Selects(policy->selector, pod.meta.labels)) selecting.push_back(policy);
    }
    return selecting;
  }
  // Null when there is none.
  const Policy* OfNamespace(const std::string& name_space) const {
    const auto found = namespace_level_.find(name_space);
    return found == namespace_level_.end() ? nullptr : found->second;
  }
  const Policy* OfMesh() const { return OfNamespace(root_namespace_); }

  // Why the policy counts for nobody; empty if it may count.
  std::string WithoutEffect(const Policy& policy) const {
    if (!policy.selector.empty()) {
      return policy.meta.name_space == root_namespace_
                 ? "a selector in the root namespace has no effect"
                 : "";
    }
    const Policy* oldest = OfNamespace(policy.meta.name_space);
    return oldest == &policy ? "" : absl::StrCat("an older one counts: ", oldest->meta.name);
  }

  // By namespace, oldest first.
  const std::map<std::string, std::vector<const Policy*>>& workload_level() const {
    return workload_level_;
  }

 private:
  const std::string root_namespace_;
  std::map<std::string, const Policy*> namespace_level_;  // The mesh's under the root namespace.
  std::map<std::string, std::vector<const Policy*>> workload_level_;
};

}  // namespace heddle::controlplane::translate
