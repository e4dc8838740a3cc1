#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "controlplane/api/object.h"

namespace heddle::controlplane::api {

// What changed in a source since it was last asked.
struct StoreDiff {
  std::vector<Object> upserted;
  std::vector<ObjectKey> removed;
  bool empty() const { return upserted.empty() && removed.empty(); }
};

// One object's step from one version to the next. At least one is there.
struct ObjectChange {
  std::optional<Object> before;
  std::optional<Object> after;
};

// All objects that are in effect, by kind and name. A value: belongs to one thread.
class ObjectStore {
 public:
  template <typename T>
  using Table = std::map<NamespacedName, std::shared_ptr<const T>>;

  // What has changed by that, in the order in which it did: the removed ones first. They keep the
  // versions before alive, so that what points to those can be taken apart.
  std::vector<ObjectChange> Apply(const StoreDiff& diff);
  // The version before, if there was one.
  std::optional<Object> Put(const Object& object);
  std::optional<Object> Erase(const ObjectKey& key);

  // In the order of namespaces and names.
  template <typename T>
  const Table<T>& All() const {
    return std::get<Table<T>>(tables_);
  }
  // Null when there is none.
  template <typename T>
  const T* Find(const NamespacedName& name) const {
    const auto found = All<T>().find(name);
    return found == All<T>().end() ? nullptr : found->second.get();
  }
  size_t size() const;

 private:
  std::tuple<Table<Namespace>, Table<Node>, Table<ServiceAccount>, Table<Pod>, Table<Service>,
             Table<EndpointSlice>, Table<PeerAuthentication>, Table<AuthorizationPolicy>,
             Table<InterceptionPolicy>, Table<Removal>>
      tables_;
};

}  // namespace heddle::controlplane::api
