#include "controlplane/xds/published_state.h"

#include <utility>

namespace heddle::controlplane::xds {
namespace {

const AnyType& AnyTypeOf(ResourceType type) {
  static const AnyType node_pod(TypeUrl(ResourceType::kNodePod));
  static const AnyType authorization(TypeUrl(ResourceType::kAuthorization));
  static const AnyType address(TypeUrl(ResourceType::kAddress));
  switch (type) {
    case ResourceType::kNodePod: return node_pod;
    case ResourceType::kAuthorization: return authorization;
    case ResourceType::kAddress: break;
  }
  return address;
}

SnapshotEdit EncodeAll(ResourceType type, translate::ResourceChanges changes) {
  SnapshotEdit edit{.removed = std::move(changes.removed)};
  edit.upserted.reserve(changes.upserted.size());
  for (translate::Resource& resource : changes.upserted) {
    edit.upserted.push_back(std::make_shared<const EncodedResource>(AnyTypeOf(type), resource));
    std::string().swap(resource.body);  // All at once would be there twice.
  }
  return edit;
}

// An empty value takes the entry away.
template <typename Key, typename Value>
void Merge(std::map<Key, Value>& into, std::map<Key, Value> changes) {
  for (auto& [key, value] : changes) {
    if (value.empty()) {
      into.erase(key);
    } else {
      into.insert_or_assign(key, std::move(value));
    }
  }
}

}  // namespace

std::string_view TypeUrl(ResourceType type) {
  switch (type) {
    case ResourceType::kNodePod: return translate::kNodePodType;
    case ResourceType::kAuthorization: return translate::kAuthorizationType;
    case ResourceType::kAddress: return translate::kAddressType;
  }
  return "";
}

Publication Encode(translate::TranslationDelta delta) {
  Publication publication{
      .addresses = EncodeAll(ResourceType::kAddress, std::move(delta.addresses)),
      .authorizations = EncodeAll(ResourceType::kAuthorization, std::move(delta.authorizations)),
      .node_pods = {},
      .identities = std::move(delta.identities),
      .statuses = std::move(delta.statuses)};
  for (auto& [node, pods] : delta.node_pods)
    publication.node_pods[node] = EncodeAll(ResourceType::kNodePod, std::move(pods));
  return publication;
}

PublishedState::PublishedState()
    : empty_(Snapshot::Empty()), addresses_(empty_), authorizations_(empty_) {}

void PublishedState::Publish(Publication publication) {
  addresses_ = Snapshot::Advance(addresses_, std::move(publication.addresses));
  authorizations_ = Snapshot::Advance(authorizations_, std::move(publication.authorizations));
  for (auto& [node, edit] : publication.node_pods) {
    SnapshotPtr next = Snapshot::Advance(Get(ResourceType::kNodePod, node), std::move(edit));
    if (next->size() == 0) {
      node_pods_.erase(node);
    } else {
      node_pods_[node] = std::move(next);
    }
  }
  Merge(identities_, std::move(publication.identities));
  Merge(statuses_, std::move(publication.statuses));
  ++generation_;
}

const SnapshotPtr& PublishedState::Get(ResourceType type, const std::string& node) const {
  if (type == ResourceType::kAddress) return addresses_;
  if (type == ResourceType::kAuthorization) return authorizations_;
  const auto found = node_pods_.find(node);
  return found == node_pods_.end() ? empty_ : found->second;
}

bool PublishedState::MayBe(const std::string& node, const std::string& identity) const {
  const auto found = identities_.find(node);
  return found != identities_.end() && found->second.contains(identity);
}

std::vector<api::ObjectStatus> PublishedState::statuses() const {
  std::vector<api::ObjectStatus> all;
  for (const auto& [key, statuses] : statuses_)
    all.insert(all.end(), statuses.begin(), statuses.end());
  return all;
}

}  // namespace heddle::controlplane::xds
