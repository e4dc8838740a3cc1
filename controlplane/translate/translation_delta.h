#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controlplane/api/object.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/resource.h"

namespace heddle::controlplane::translate {

// What becomes of resources of one type. No name is in both.
struct ResourceChanges {
  ResourceSet upserted;              // Some may be as they were: the version says so.
  std::vector<std::string> removed;  // Sorted. Some may never have been there.
  bool empty() const { return upserted.empty() && removed.empty(); }
};

// The difference between two Translations, as far as it can be one.
struct TranslationDelta {
  ResourceChanges addresses;
  ResourceChanges authorizations;
  std::map<std::string, ResourceChanges> node_pods;  // By node.
  // The whole set of each node where it may have changed; empty: the node has none left.
  std::map<std::string, std::set<std::string>> identities;
  // All that there is to say of each object about which that may have changed; empty: nothing.
  std::map<api::ObjectKey, std::vector<api::ObjectStatus>> statuses;
};

}  // namespace heddle::controlplane::translate
