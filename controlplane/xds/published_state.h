#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/translate/translate.h"

namespace heddle::controlplane::xds {

// A resource as it goes over the wire: encoded once, shared by all subscribers.
struct EncodedResource {
  std::string name;
  std::string version;
  std::string wire;  // A serialized envoy.service.discovery.v3.Resource.
};
using ResourcePtr = std::shared_ptr<const EncodedResource>;

// All resources of one type at one time, sorted by name. Immutable; shares what has not changed
// with the one before.
struct Snapshot {
  std::vector<ResourcePtr> resources;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;  // Never null.

struct Difference {
  std::vector<ResourcePtr> changed;  // New ones too.
  std::vector<std::string> removed;
  bool empty() const { return changed.empty() && removed.empty(); }
};

// Costs a comparison of pointers per resource.
Difference Compare(const Snapshot& before, const Snapshot& after);
// Compared with names and versions that a subscriber says it holds.
Difference Compare(const std::map<std::string, std::string>& held, const Snapshot& after);

enum class ResourceType : uint8_t { kNodePod, kAuthorization, kAddress };
inline constexpr size_t kResourceTypes = 3;
std::string_view TypeUrl(ResourceType type);

// What the controller serves at the moment. Belongs to one thread.
class PublishedState {
 public:
  PublishedState();

  // Takes over the translation; snapshots of types in which nothing changed stay the same objects.
  void Publish(translate::Translation translation);

  // Node pods are those of `node`, the other types are the same for all.
  SnapshotPtr Get(ResourceType type, const std::string& node) const;
  // Whether the node may have certificates for the identity.
  bool MayBe(const std::string& node, const std::string& identity) const;
  const std::vector<api::ObjectStatus>& statuses() const { return statuses_; }
  // Grows by one with each Publish; 0 means that nothing is known yet, and nothing is served.
  uint64_t generation() const { return generation_; }

 private:
  const SnapshotPtr empty_;
  SnapshotPtr addresses_;
  SnapshotPtr authorizations_;
  std::map<std::string, SnapshotPtr> node_pods_;
  std::map<std::string, std::set<std::string>> identities_;
  std::vector<api::ObjectStatus> statuses_;
  uint64_t generation_ = 0;
};

}  // namespace heddle::controlplane::xds
