#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/translate/translation_delta.h"
#include "controlplane/xds/snapshot.h"

namespace heddle::controlplane::xds {

enum class ResourceType : uint8_t { kNodePod, kAuthorization, kAddress };
inline constexpr size_t kResourceTypes = 3;
std::string_view TypeUrl(ResourceType type);

// A TranslationDelta with its resources encoded.
struct Publication {
  SnapshotEdit addresses;
  SnapshotEdit authorizations;
  std::map<std::string, SnapshotEdit> node_pods;
  std::map<std::string, std::set<std::string>> identities;
  std::map<api::ObjectKey, std::vector<api::ObjectStatus>> statuses;
};
// Pure, and the larger part of the work: any thread can do it.
Publication Encode(translate::TranslationDelta delta);

// What the controller serves at the moment. Belongs to one thread.
class PublishedState {
 public:
  PublishedState();

  // Snapshots of types in which nothing changes stay the same objects. Costs what changes, and a
  // pointer for each shard of what does not.
  void Publish(Publication publication);

  // Node pods are those of `node`, the other types are the same for all.
  const SnapshotPtr& Get(ResourceType type, const std::string& node) const;
  // Whether the node may have certificates for the identity.
  bool MayBe(const std::string& node, const std::string& identity) const;
  // By kind and name of the object. O(n).
  std::vector<api::ObjectStatus> statuses() const;
  // Grows by one with each Publish; 0 means that nothing is known yet, and nothing is served.
  uint64_t generation() const { return generation_; }

 private:
  const SnapshotPtr empty_;
  SnapshotPtr addresses_;
  SnapshotPtr authorizations_;
  std::map<std::string, SnapshotPtr> node_pods_;
  std::map<std::string, std::set<std::string>> identities_;
  std::map<api::ObjectKey, std::vector<api::ObjectStatus>> statuses_;
  uint64_t generation_ = 0;
};

}  // namespace heddle::controlplane::xds
