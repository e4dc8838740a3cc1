#include "controlplane/translate/endpoint_index.h"

#include <map>
#include <tuple>
#include <utility>

namespace heddle::controlplane::translate {
namespace {

auto FirstLabel(const api::Service& service) {
  const auto& [key, value] = *service.selector.begin();
  return std::tie(service.meta.name_space, key, value);
}

}  // namespace

bool EndpointIndex::ByPod::operator()(const PodEndpoint& a, const PodEndpoint& b) const {
  return std::tie(a.slice->meta.name_space, a.endpoint().pod, a.slice->meta.name, a.index) <
         std::tie(b.slice->meta.name_space, b.endpoint().pod, b.slice->meta.name, b.index);
}

bool EndpointIndex::ByPod::operator()(const PodEndpoint& a, const api::NamespacedName& pod) const {
  return std::tie(a.slice->meta.name_space, a.endpoint().pod) < std::tie(pod.name_space, pod.name);
}

bool EndpointIndex::ByPod::operator()(const api::NamespacedName& pod, const PodEndpoint& b) const {
  return std::tie(pod.name_space, pod.name) < std::tie(b.slice->meta.name_space, b.endpoint().pod);
}

bool EndpointIndex::ByService::operator()(const api::EndpointSlice* a,
                                          const api::EndpointSlice* b) const {
  return std::tie(a->meta.name_space, a->service, a->meta.name) <
         std::tie(b->meta.name_space, b->service, b->meta.name);
}

bool EndpointIndex::ByService::operator()(const api::EndpointSlice* a,
                                          const api::NamespacedName& service) const {
  return std::tie(a->meta.name_space, a->service) < std::tie(service.name_space, service.name);
}

bool EndpointIndex::ByService::operator()(const api::NamespacedName& service,
                                          const api::EndpointSlice* b) const {
  return std::tie(service.name_space, service.name) < std::tie(b->meta.name_space, b->service);
}

bool EndpointIndex::ByLabel::operator()(const api::Service* a, const api::Service* b) const {
  const auto label_of_a = FirstLabel(*a);
  const auto label_of_b = FirstLabel(*b);
  return std::tie(label_of_a, a->meta.name) < std::tie(label_of_b, b->meta.name);
}

bool EndpointIndex::ByLabel::operator()(const api::Service* a, const LabelOf& label) const {
  return FirstLabel(*a) < std::tie(label.name_space, label.key, label.value);
}

bool EndpointIndex::ByLabel::operator()(const LabelOf& label, const api::Service* b) const {
  return std::tie(label.name_space, label.key, label.value) < FirstLabel(*b);
}

void EndpointIndex::Add(const api::Service& service) {
  if (!service.selector.empty()) by_label_.insert(&service);
}

void EndpointIndex::Remove(const api::Service& service) {
  if (!service.selector.empty()) by_label_.erase(&service);
}

void EndpointIndex::Add(const api::EndpointSlice& slice) {
  if (slice.service.empty()) return;
  by_service_.insert(&slice);
  for (uint32_t i = 0; i < slice.endpoints.size(); ++i) {
    if (!slice.endpoints[i].pod.empty()) by_pod_.insert({&slice, i});
  }
}

void EndpointIndex::Remove(const api::EndpointSlice& slice) {
  if (slice.service.empty()) return;
  by_service_.erase(&slice);
  for (uint32_t i = 0; i < slice.endpoints.size(); ++i) {
    if (!slice.endpoints[i].pod.empty()) by_pod_.erase({&slice, i});
  }
}

const api::Service* EndpointIndex::Routed(const api::NamespacedName& name) const {
  const auto* service = objects_.Find<api::Service>(name);
  return service == nullptr || service->external_name ? nullptr : service;
}

bool EndpointIndex::HasSlices(const api::NamespacedName& service) const {
  const auto at = by_service_.lower_bound(service);
  return at != by_service_.end() && (*at)->meta.name_space == service.name_space &&
         (*at)->service == service.name;
}

EndpointIndex::Slices EndpointIndex::SlicesOf(const api::NamespacedName& service) const {
  Slices slices;
  for (auto at = by_service_.lower_bound(service); at != by_service_.end(); ++at) {
    if ((*at)->meta.name_space != service.name_space || (*at)->service != service.name) break;
    slices.push_back(*at);
  }
  return slices;
}

EndpointIndex::Slices EndpointIndex::SlicesNaming(const api::NamespacedName& pod) const {
  Slices slices;
  for (auto at = by_pod_.lower_bound(pod); at != by_pod_.end(); ++at) {
    if (at->slice->meta.name_space != pod.name_space || at->endpoint().pod != pod.name) break;
    if (slices.empty() || slices.back() != at->slice) slices.push_back(at->slice);
  }
  return slices;
}

ServicePorts EndpointIndex::ServicesOf(const api::Pod& pod) const {
  ServicePorts services;
  AppendFromSlices(pod, services);
  AppendSelecting(pod, services);
  return services;
}

void EndpointIndex::AppendFromSlices(const api::Pod& pod, ServicePorts& services) const {
  const api::NamespacedName name = api::NameOf(pod.meta);
  for (auto at = by_pod_.lower_bound(name); at != by_pod_.end(); ++at) {
    if (at->slice->meta.name_space != name.name_space || at->endpoint().pod != name.name) break;
    const api::Service* service = Routed({name.name_space, at->slice->service});
    if (service == nullptr || (!at->endpoint().ready && !service->publish_not_ready)) continue;
    services[ServiceKey(service->meta, options_)].MergeFrom(PortsIn(*service, *at->slice));
  }
}

void EndpointIndex::AppendSelecting(const api::Pod& pod, ServicePorts& services) const {
  for (const auto& [key, value] : pod.meta.labels) {
    const LabelOf label{pod.meta.name_space, key, value};
    for (auto at = by_label_.lower_bound(label); at != by_label_.end(); ++at) {
      const api::Service& service = **at;
      if (FirstLabel(service) != std::tie(label.name_space, label.key, label.value)) break;
      if (service.external_name || !api::Selects(service.selector, pod.meta.labels)) continue;
      if (HasSlices(api::NameOf(service.meta))) continue;
      services[ServiceKey(service.meta, options_)] = PortsOn(service, pod);
    }
  }
}

std::vector<ForeignEndpoint> EndpointIndex::ForeignOf(const api::EndpointSlice& slice) const {
  const api::Service* service =
      slice.service.empty() ? nullptr : Routed({slice.meta.name_space, slice.service});
  if (service == nullptr) return {};
  const std::string key = ServiceKey(service->meta, options_);
  const istio::workload::PortList ports = PortsIn(*service, slice);
  // Of two endpoints with one address the last counts.
  std::map<std::string, ForeignEndpoint> by_uid;
  for (const api::Endpoint& endpoint : slice.endpoints) {
    if (!endpoint.ready && !service->publish_not_ready) continue;
    if (objects_.Find<api::Pod>({slice.meta.name_space, endpoint.pod}) != nullptr) continue;
    for (const io::IpAddress& address : endpoint.addresses) {
      std::string uid = ForeignUid(slice, address, options_);
      by_uid[uid] = {.uid = uid,
                     .slice = &slice,
                     .endpoint = &endpoint,
                     .address = address,
                     .services = {{key, ports}}};
    }
  }
  std::vector<ForeignEndpoint> foreign;
  for (auto& [uid, endpoint] : by_uid) foreign.push_back(std::move(endpoint));
  return foreign;
}

}  // namespace heddle::controlplane::translate
