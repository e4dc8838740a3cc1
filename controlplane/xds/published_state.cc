#include "controlplane/xds/published_state.h"

#include <utility>

#include "proto/discovery.pb.h"

namespace heddle::controlplane::xds {
namespace {

ResourcePtr Encode(ResourceType type, translate::Resource resource) {
  envoy::service::discovery::v3::Resource message;
  message.set_name(resource.name);
  message.set_version(resource.version);
  message.mutable_resource()->set_type_url(std::string(TypeUrl(type)));
  message.mutable_resource()->set_value(std::move(resource.body));
  return std::make_shared<const EncodedResource>(EncodedResource{
      std::move(resource.name), std::move(resource.version), message.SerializeAsString()});
}

// Calls on_before(i), on_after(j) or on_both(i, j) for the names of two sorted sequences.
template <typename NameOfBefore, typename Both, typename Before, typename After>
void Merge(size_t before, NameOfBefore name_of_before, const Snapshot& after, Both on_both,
           Before on_before, After on_after) {
  size_t i = 0;
  size_t j = 0;
  while (i < before || j < after.resources.size()) {
    const int order = i == before ? 1
                      : j == after.resources.size()
                          ? -1
                          : name_of_before(i).compare(after.resources[j]->name);
    if (order == 0) {
      on_both(i++, after.resources[j++]);
    } else if (order < 0) {
      on_before(i++);
    } else {
      on_after(after.resources[j++]);
    }
  }
}

SnapshotPtr Advance(ResourceType type, const SnapshotPtr& before, translate::ResourceSet after) {
  auto next = std::make_shared<Snapshot>();
  next->resources.reserve(after.size());
  bool changed = before->resources.size() != after.size();
  auto old = before->resources.begin();
  for (translate::Resource& resource : after) {
    while (old != before->resources.end() && (*old)->name < resource.name) ++old;
    const bool same = old != before->resources.end() && (*old)->name == resource.name &&
                      (*old)->version == resource.version;
    changed |= !same;
    next->resources.push_back(same ? *old : Encode(type, std::move(resource)));
  }
  return changed ? SnapshotPtr(std::move(next)) : before;
}

}  // namespace

Difference Compare(const Snapshot& before, const Snapshot& after) {
  Difference difference;
  if (&before == &after) return difference;
  Merge(
      before.resources.size(),
      [&](size_t i) -> const std::string& { return before.resources[i]->name; }, after,
      [&](size_t i, const ResourcePtr& resource) {
        if (before.resources[i]->version != resource->version)
          difference.changed.push_back(resource);
      },
      [&](size_t i) { difference.removed.push_back(before.resources[i]->name); },
      [&](const ResourcePtr& resource) { difference.changed.push_back(resource); });
  return difference;
}

Difference Compare(const std::map<std::string, std::string>& held, const Snapshot& after) {
  Difference difference;
  auto at = held.begin();
  Merge(
      held.size(), [&](size_t) -> const std::string& { return at->first; }, after,
      [&](size_t, const ResourcePtr& resource) {
        if ((at++)->second != resource->version) difference.changed.push_back(resource);
      },
      [&](size_t) { difference.removed.push_back((at++)->first); },
      [&](const ResourcePtr& resource) { difference.changed.push_back(resource); });
  return difference;
}

std::string_view TypeUrl(ResourceType type) {
  switch (type) {
    case ResourceType::kNodePod: return translate::kNodePodType;
    case ResourceType::kAuthorization: return translate::kAuthorizationType;
    case ResourceType::kAddress: return translate::kAddressType;
  }
  return "";
}

PublishedState::PublishedState()
    : empty_(std::make_shared<const Snapshot>()), addresses_(empty_), authorizations_(empty_) {}

void PublishedState::Publish(translate::Translation translation) {
  addresses_ = Advance(ResourceType::kAddress, addresses_, std::move(translation.addresses));
  authorizations_ =
      Advance(ResourceType::kAuthorization, authorizations_, std::move(translation.authorizations));
  std::map<std::string, SnapshotPtr> node_pods;
  for (auto& [node, pods] : translation.node_pods) {
    node_pods[node] =
        Advance(ResourceType::kNodePod, Get(ResourceType::kNodePod, node), std::move(pods));
  }
  node_pods_ = std::move(node_pods);
  identities_ = std::move(translation.identities);
  statuses_ = std::move(translation.statuses);
  ++generation_;
}

SnapshotPtr PublishedState::Get(ResourceType type, const std::string& node) const {
  if (type == ResourceType::kAddress) return addresses_;
  if (type == ResourceType::kAuthorization) return authorizations_;
  const auto found = node_pods_.find(node);
  return found == node_pods_.end() ? empty_ : found->second;
}

bool PublishedState::MayBe(const std::string& node, const std::string& identity) const {
  const auto found = identities_.find(node);
  return found != identities_.end() && found->second.contains(identity);
}

}  // namespace heddle::controlplane::xds
