#pragma once

#include <absl/container/btree_set.h>

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/service_endpoints.h"

namespace heddle::controlplane::translate {

// Who serves what, asked of one pod or of one slice: the same answers as FindEndpoints, which says it
// of all at once. Holds pointers into `objects`: what is added is taken out again before it goes. One
// thread's.
class EndpointIndex {
 public:
  using Slices = std::vector<const api::EndpointSlice*>;

  // Both outlive it.
  EndpointIndex(const api::ObjectStore& objects, const MeshOptions& options)
      : objects_(objects), options_(options) {}

  void Add(const api::Service& service);
  void Remove(const api::Service& service);
  void Add(const api::EndpointSlice& slice);
  void Remove(const api::EndpointSlice& slice);

  ServicePorts ServicesOf(const api::Pod& pod) const;
  // The slice's endpoints that are no pods.
  std::vector<ForeignEndpoint> ForeignOf(const api::EndpointSlice& slice) const;

  // In the order of names.
  Slices SlicesNaming(const api::NamespacedName& pod) const;
  Slices SlicesOf(const api::NamespacedName& service) const;

 private:
  // An endpoint of a slice that names a pod.
  struct PodEndpoint {
    const api::EndpointSlice* slice = nullptr;
    uint32_t index = 0;
    const api::Endpoint& endpoint() const { return slice->endpoints[index]; }
  };
  struct ByPod {
    using is_transparent = void;
    bool operator()(const PodEndpoint& a, const PodEndpoint& b) const;
    bool operator()(const PodEndpoint& a, const api::NamespacedName& pod) const;
    bool operator()(const api::NamespacedName& pod, const PodEndpoint& b) const;
  };
  struct ByService {
    using is_transparent = void;
    bool operator()(const api::EndpointSlice* a, const api::EndpointSlice* b) const;
    bool operator()(const api::EndpointSlice* a, const api::NamespacedName& service) const;
    bool operator()(const api::NamespacedName& service, const api::EndpointSlice* b) const;
  };
  // A service under the first label that its selector asks for: only pods with that one can be meant.
  struct LabelOf {
    std::string_view name_space;
    std::string_view key;
    std::string_view value;
  };
  struct ByLabel {
    using is_transparent = void;
    bool operator()(const api::Service* a, const api::Service* b) const;
    bool operator()(const api::Service* a, const LabelOf& label) const;
    bool operator()(const LabelOf& label, const api::Service* b) const;
  };

  void AppendFromSlices(const api::Pod& pod, ServicePorts& services) const;
  void AppendSelecting(const api::Pod& pod, ServicePorts& services) const;
  // Null when it leads nowhere.
  const api::Service* Routed(const api::NamespacedName& name) const;
  bool HasSlices(const api::NamespacedName& service) const;

  const api::ObjectStore& objects_;
  const MeshOptions& options_;
  absl::btree_set<PodEndpoint, ByPod> by_pod_;
  absl::btree_set<const api::EndpointSlice*, ByService> by_service_;
  absl::btree_set<const api::Service*, ByLabel> by_label_;  // Those with a selector.
};

}  // namespace heddle::controlplane::translate
