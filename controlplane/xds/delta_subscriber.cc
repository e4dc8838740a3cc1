#include "controlplane/xds/delta_subscriber.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace heddle::controlplane::xds {
namespace {

namespace wire = envoy::service::discovery::v3;

// Longest part of a refusal that is kept for people to read.
constexpr size_t kMaxRefusalBytes = 1024;
// Policies before what names them.
constexpr ResourceType kOrder[] = {ResourceType::kNodePod, ResourceType::kAuthorization,
                                   ResourceType::kAddress};

std::optional<ResourceType> TypeOf(const std::string& type_url) {
  for (const ResourceType type : kOrder) {
    if (type_url == TypeUrl(type)) return type;
  }
  return std::nullopt;
}

bool IsWildcard(const wire::DeltaDiscoveryRequest& request) {
  const auto& names = request.resource_names_subscribe();
  return request.resource_names_unsubscribe().empty() &&
         std::all_of(names.begin(), names.end(),
                     [](const std::string& name) { return name == "*"; });
}

// `after`, and of `before` what is no longer in it.
SnapshotPtr WithRemoved(const Snapshot& before, const SnapshotPtr& after,
                        const std::vector<std::string>& removed) {
  SnapshotEdit edit;
  for (const std::string& name : removed) edit.upserted.push_back(before.Find(name));
  return Snapshot::Advance(after, std::move(edit));
}

}  // namespace

absl::Status DeltaSubscriber::OnRequest(const wire::DeltaDiscoveryRequest& request) {
  const std::optional<ResourceType> type = TypeOf(request.type_url());
  if (!type.has_value()) {
    ++counts_.unknown_types;
    return absl::OkStatus();
  }
  Subscription& subscription = Of(*type);
  if (!subscription.active || request.response_nonce().empty())
    return Subscribe(subscription, request);
  if (request.response_nonce() != subscription.nonce) {
    ++counts_.stale;
    return absl::OkStatus();
  }
  subscription.nonce.clear();
  if (request.has_error_detail()) {
    ++counts_.refused;
    last_refusal_ = request.error_detail().message().substr(0, kMaxRefusalBytes);
  }
  return absl::OkStatus();
}

absl::Status DeltaSubscriber::Subscribe(Subscription& subscription,
                                        const wire::DeltaDiscoveryRequest& request) {
  if (!IsWildcard(request)) {
    return absl::UnimplementedError(
        absl::StrCat(request.type_url(), ": only subscriptions to everything are served"));
  }
  if (subscription.active) return absl::OkStatus();  // Subscribed to everything already.
  subscription.active = true;
  subscription.held.emplace(request.initial_resource_versions().begin(),
                            request.initial_resource_versions().end());
  subscription.sent = Snapshot::Empty();
  return absl::OkStatus();
}

bool DeltaSubscriber::UpToDate(ResourceType type) const {
  const Subscription& subscription = Of(type);
  return !subscription.active ||
         (!subscription.held.has_value() && subscription.sent == state_.Get(type, node_));
}

bool DeltaSubscriber::InSync() const {
  return std::all_of(std::begin(kOrder), std::end(kOrder),
                     [this](ResourceType type) { return UpToDate(type) && !Of(type).under_way(); });
}

bool DeltaSubscriber::HoldsEverything() const {
  const auto active = [this](ResourceType type) { return Of(type).active; };
  return std::all_of(std::begin(kOrder), std::end(kOrder), active) && InSync();
}

bool DeltaSubscriber::MustWait(ResourceType type) const {
  if (type != ResourceType::kAddress) return false;
  // New policies wait for an acknowledgement, and workloads may name them.
  const Subscription& policies = Of(ResourceType::kAuthorization);
  return policies.active && policies.offered != state_.Get(ResourceType::kAuthorization, node_);
}

std::optional<DeltaResponse> DeltaSubscriber::Next() {
  if (state_.generation() == 0) return std::nullopt;
  for (const ResourceType type : kOrder) {
    if (!Of(type).active || Of(type).under_way() || UpToDate(type) || MustWait(type)) continue;
    if (std::optional<DeltaResponse> response = NextOf(type); response.has_value()) return response;
  }
  return std::nullopt;
}

std::optional<DeltaResponse> DeltaSubscriber::NextOf(ResourceType type) {
  Subscription& subscription = Of(type);
  const SnapshotPtr current = state_.Get(type, node_);
  const bool first = subscription.held.has_value();
  if (first && subscription.held->empty()) return Everything(type, current);
  Difference difference =
      first ? Compare(*subscription.held, *current) : Compare(*subscription.sent, *current);
  subscription.held.reset();
  SnapshotPtr sent = current;
  const bool withhold = type == ResourceType::kAuthorization && !first &&
                        !difference.removed.empty() && !UpToDate(ResourceType::kAddress);
  if (withhold) {
    sent = WithRemoved(*subscription.sent, current, difference.removed);
    difference.removed.clear();
  }
  subscription.offered = current;
  // Withheld removals alone change nothing, and neither does a change that was taken back while a
  // response was under way.
  if (!first && difference.empty()) {
    if (!withhold) subscription.sent = std::move(sent);
    return std::nullopt;
  }
  subscription.sent = std::move(sent);
  return DeltaResponse(type, MakeHead(type, difference.removed), std::move(difference.changed));
}

// To one that holds nothing.
DeltaResponse DeltaSubscriber::Everything(ResourceType type, const SnapshotPtr& current) {
  Subscription& subscription = Of(type);
  subscription.held.reset();
  subscription.offered = current;
  subscription.sent = current;
  return DeltaResponse(type, MakeHead(type, {}), current);
}

DeltaResponse::Head DeltaSubscriber::MakeHead(ResourceType type,
                                              const std::vector<std::string>& removed) {
  Subscription& subscription = Of(type);
  subscription.nonce = absl::StrCat(next_nonce_++);
  ++counts_.responses;
  DeltaResponse::Head head;
  head.set_system_version_info(absl::StrCat(state_.generation()));
  head.set_type_url(std::string(TypeUrl(type)));
  head.set_nonce(subscription.nonce);
  for (const std::string& name : removed) head.add_removed_resources(name);
  return head;
}

}  // namespace heddle::controlplane::xds
