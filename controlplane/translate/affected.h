#pragma once

#include <absl/container/flat_hash_set.h>

#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/translate/endpoint_index.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/pod_index.h"

namespace heddle::controlplane::translate {

// The objects of a store whose resources may be others after some objects have changed: those
// themselves and those that depend on them. Rather one too many: what is derived again and comes out
// the same costs only that.
//
//   changed                     affected
//   Pod                         itself, pods that share its uid; slices that name it
//   Namespace, Node             its pods; of a Node also slices with endpoints on it
//   Service                     the pods and slices that serve it
//   EndpointSlice               itself and the pods that it names; if it is the first or the last of
//                               its service, the pods that the service's selector names
//   policies                    the pods that they name, when that or (PeerAuthentication,
//                               InterceptionPolicy) anything else about them has changed
//   capture report              the pods
struct Affected {
  bool all = false;  // All of both, whatever the sets say.
  absl::flat_hash_set<const api::Pod*> pods;
  absl::flat_hash_set<const api::EndpointSlice*> slices;
};

// What the changed objects are looked up in: as it is after the changes.
struct Indexes {
  const api::ObjectStore& objects;
  const MeshOptions& options;
  const PodIndex& pods;
  const EndpointIndex& endpoints;
};

Affected FindAffected(const std::vector<api::ObjectChange>& changes, const Indexes& indexes);

// The version of the type that a change has; null when there is none, or it is of another type.
template <typename T>
const T* VersionOf(const std::optional<api::Object>& object) {
  if (!object.has_value()) return nullptr;
  const auto* pointer = std::get_if<std::shared_ptr<const T>>(&*object);
  return pointer == nullptr ? nullptr : pointer->get();
}

// Calls visitor(const T* before, const T* after) with the type of the object that changed.
template <typename Visitor>
void VisitChange(const api::ObjectChange& change, Visitor&& visitor) {
  std::visit(
      [&]<typename T>(const std::shared_ptr<const T>&) {
        visitor(VersionOf<T>(change.before), VersionOf<T>(change.after));
      },
      change.after.has_value() ? *change.after : *change.before);
}

}  // namespace heddle::controlplane::translate
