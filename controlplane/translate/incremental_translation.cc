#include "controlplane/translate/incremental_translation.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "controlplane/translate/addresses.h"
#include "controlplane/translate/enrollment.h"
#include "controlplane/translate/pod_derivation.h"

namespace heddle::controlplane::translate {
namespace {

// Upserted and removed as they come, in any order; a name that is upserted is not removed.
ResourceChanges Settled(ResourceChanges changes) {
  SortResources(changes.upserted);
  std::vector<std::string>& removed = changes.removed;
  std::sort(removed.begin(), removed.end());
  removed.erase(std::unique(removed.begin(), removed.end()), removed.end());
  std::erase_if(removed, [&changes](const std::string& name) {
    return std::binary_search(changes.upserted.begin(), changes.upserted.end(),
                              Resource{.name = name, .version = "", .body = ""},
                              [](const Resource& a, const Resource& b) { return a.name < b.name; });
  });
  return changes;
}

}  // namespace

// One update: what was there of the changed objects is removed, what is affected is derived, and what
// was removed and derived stays.
class IncrementalTranslation::Round {
 public:
  Round(IncrementalTranslation& all, const std::vector<api::ObjectChange>& changes, bool whole)
      : all_(all), changes_(changes), whole_(whole) {}

  TranslationDelta Run(const Affected& affected) && {
    for (const api::ObjectChange& change : changes_) {
      VisitChange(change, [this](const auto* before, const auto* after) {
        if (before != nullptr) Retract(*before);
        (void)after;
      });
    }
    Policies();
    Pods(affected);
    Slices(affected);
    Services();
    Identities();
    InterceptionStatuses();
    delta_.addresses = Settled(std::move(delta_.addresses));
    delta_.authorizations = Settled(std::move(delta_.authorizations));
    for (auto& [node, pods] : delta_.node_pods) pods = Settled(std::move(pods));
    return std::move(delta_);
  }

 private:
  // What the version of an object that is no more may have come to.
  void Retract(const api::Pod& pod) {
    const api::NamespacedName name = api::NameOf(pod.meta);
    RetractResources(pod);
    SetChoice(name, {});
    SetNotes(name, {});
  }
  void Retract(const api::Service& service) {
    delta_.addresses.removed.push_back(ServiceKey(service.meta, all_.options_));
  }
  void Retract(const api::EndpointSlice& slice) {
    for (const api::Endpoint& endpoint : slice.endpoints) {
      for (const io::IpAddress& address : endpoint.addresses)
        delta_.addresses.removed.push_back(ForeignUid(slice, address, all_.options_));
    }
  }
  void Retract(const api::AuthorizationPolicy& policy) {
    const api::NamespacedName name = api::NameOf(policy.meta);
    delta_.authorizations.removed.push_back(name.ToString());
    delta_.statuses[{api::Kind::kAuthorizationPolicy, name}].clear();
  }
  void Retract(const api::PeerAuthentication& policy) {
    delta_.statuses[{api::Kind::kPeerAuthentication, api::NameOf(policy.meta)}].clear();
  }
  void Retract(const api::InterceptionPolicy& policy) {
    delta_.statuses[{api::Kind::kInterceptionPolicy, api::NameOf(policy.meta)}].clear();
  }
  // Nothing is said about these.
  void Retract(const api::Namespace&) {}
  void Retract(const api::Node&) {}
  void Retract(const api::ServiceAccount&) {}
  void Retract(const api::Removal&) {}

  // A terminal one came to nothing, and another pod may have its uid.
  void RetractResources(const api::Pod& pod) {
    if (pod.terminal) return;
    if (!pod.ips.empty()) delta_.addresses.removed.push_back(WorkloadUidOf(pod, all_.options_));
    if (pod.node_name.empty()) return;
    nodes_.insert(pod.node_name);
    if (!pod.meta.uid.empty()) delta_.node_pods[pod.node_name].removed.push_back(pod.meta.uid);
  }

  template <typename Policy>
  bool Changed() const {
    return whole_ || std::ranges::any_of(changes_, [](const api::ObjectChange& change) {
             return VersionOf<Policy>(change.before) != nullptr ||
                    VersionOf<Policy>(change.after) != nullptr;
           });
  }

  void Policies() {
    if (Changed<api::AuthorizationPolicy>()) {
      all_.selectors_.emplace(all_.objects_, all_.options_);
      AuthorizationPolicies();
    }
    if (Changed<api::PeerAuthentication>()) {
      all_.peers_.emplace(all_.objects_, all_.options_);
      PeerPolicies();
    }
    if (Changed<api::InterceptionPolicy>()) {
      all_.interceptions_.emplace(all_.objects_, all_.options_);
      for (const auto& [name, policy] : all_.objects_.All<api::InterceptionPolicy>())
        used_.insert(name);
    }
  }

  void AuthorizationPolicies() {
    if (whole_) {
      for (const auto& [name, policy] : all_.objects_.All<api::AuthorizationPolicy>())
        DerivePolicy(name, *policy);
      return;
    }
    for (const api::ObjectChange& change : changes_) {
      const auto* after = VersionOf<api::AuthorizationPolicy>(change.after);
      if (after == nullptr) continue;
      const api::NamespacedName name = api::NameOf(after->meta);
      // Unless it was changed once more.
      if (all_.objects_.Find<api::AuthorizationPolicy>(name) == after) DerivePolicy(name, *after);
    }
  }

  void DerivePolicy(const api::NamespacedName& name, const api::AuthorizationPolicy& policy) {
    if (!all_.first_) Retract(policy);
    api::ObjectStatus status{.object = {api::Kind::kAuthorizationPolicy, name}};
    const auto message = TranslatePolicy(policy, all_.options_, status);
    if (relaxed()) {
      Relax(status);
    } else if (message.has_value()) {
      delta_.authorizations.upserted.push_back(MakeResource(name.ToString(), *message));
    }
    delta_.statuses[status.object] = {status};
  }

  bool relaxed() const { return all_.removal_ >= RemovalPhase::kRelax; }

  // They inherit from each other, and are few.
  void PeerPolicies() {
    std::set<std::string> names;
    for (const istio::security::Authorization& message : all_.peers_->Policies()) {
      if (relaxed()) break;
      Resource& resource = delta_.authorizations.upserted.emplace_back(PolicyResource(message));
      names.insert(resource.name);
    }
    for (const std::string& name : std::exchange(all_.peer_policies_, std::move(names)))
      delta_.authorizations.removed.push_back(name);
    for (api::ObjectStatus& status : all_.peers_->Statuses()) {
      const api::ObjectKey key = status.object;
      if (relaxed()) Relax(status);
      delta_.statuses[key] = {std::move(status)};
    }
  }

  void Pods(const Affected& affected) {
    const PodContext context{.objects = all_.objects_,
                             .captured = all_.captured_,
                             .options = all_.options_,
                             .selectors = *all_.selectors_,
                             .peers = *all_.peers_,
                             .interceptions = *all_.interceptions_,
                             .removal = all_.removal_};
    if (affected.all) {  // In their order, in which they lie in memory.
      for (const auto& [name, pod] : all_.objects_.All<api::Pod>()) Derive(*pod, context);
    } else {
      for (const api::Pod* pod : affected.pods) Derive(*pod, context);
    }
  }

  void Derive(const api::Pod& pod, const PodContext& context) {
    const ServicePorts services = all_.endpoints_.ServicesOf(pod);
    PodDerivation derived =
        DerivePod(pod, context, {.shares_uid = all_.pods_.SharesUid(pod), .services = &services});
    if (!all_.first_) RetractResources(pod);
    if (derived.workload.has_value())
      delta_.addresses.upserted.push_back(*std::move(derived.workload));
    if (!pod.node_name.empty()) nodes_.insert(pod.node_name);
    if (derived.node_pod.has_value())
      delta_.node_pods[pod.node_name].upserted.push_back(*std::move(derived.node_pod));
    const api::NamespacedName name = api::NameOf(pod.meta);
    SetChoice(name, std::move(derived.interception));
    SetNotes(name, std::move(derived.notes));
  }

  void SetChoice(const api::NamespacedName& pod, Interceptions::Choice choice) {
    if (const auto before = all_.choices_.find(pod); before != all_.choices_.end()) {
      if (before->second == choice) return;
      all_.uses_.Remove(before->second);
      Use(before->second);
      all_.choices_.erase(before);
    }
    if (choice.empty()) return;
    all_.uses_.Add(choice);
    Use(choice);
    all_.choices_.emplace(pod, std::move(choice));
  }

  void Use(const Interceptions::Choice& choice) {
    if (choice.counts.has_value()) used_.insert(*choice.counts);
    used_.insert(choice.lost.begin(), choice.lost.end());
  }

  void SetNotes(const api::NamespacedName& pod, std::vector<api::ObjectStatus> notes) {
    const bool any = !notes.empty();
    if (any || all_.noted_.contains(pod))
      delta_.statuses[{api::Kind::kPod, pod}] = std::move(notes);
    if (any) {
      all_.noted_.insert(pod);
    } else {
      all_.noted_.erase(pod);
    }
  }

  void Slices(const Affected& affected) {
    if (affected.all) {
      for (const auto& [name, slice] : all_.objects_.All<api::EndpointSlice>()) Derive(*slice);
    } else {
      for (const api::EndpointSlice* slice : affected.slices) Derive(*slice);
    }
  }

  void Derive(const api::EndpointSlice& slice) {
    if (!all_.first_) Retract(slice);
    for (const ForeignEndpoint& endpoint : all_.endpoints_.ForeignOf(slice))
      delta_.addresses.upserted.push_back(ForeignResource(endpoint, all_.objects_, all_.options_));
  }

  void Services() {
    for (const api::ObjectChange& change : changes_) {
      const auto* after = VersionOf<api::Service>(change.after);
      if (after == nullptr || after->external_name) continue;
      if (all_.objects_.Find<api::Service>(api::NameOf(after->meta)) == after)
        delta_.addresses.upserted.push_back(ServiceResource(*after, all_.options_));
    }
  }

  void Identities() {
    for (const std::string& node : nodes_) {
      std::set<std::string>& identities = delta_.identities[node];
      for (const api::Pod* pod : all_.pods_.OnNode(node)) {
        if (!pod->terminal && HasUsableUid(*pod, all_.pods_.SharesUid(*pod)))
          identities.insert(IdentityOf(*pod, all_.options_));
      }
    }
  }

  void InterceptionStatuses() {
    for (const api::NamespacedName& name : used_) {
      const auto* policy = all_.objects_.Find<api::InterceptionPolicy>(name);
      if (policy == nullptr) continue;
      delta_.statuses[{api::Kind::kInterceptionPolicy, name}] = {
          all_.uses_.StatusOf(*policy, *all_.interceptions_, all_.objects_)};
    }
  }

  IncrementalTranslation& all_;
  const std::vector<api::ObjectChange>& changes_;
  const bool whole_;                    // Everything is derived.
  std::set<std::string> nodes_;         // Whose pods may be others.
  std::set<api::NamespacedName> used_;  // InterceptionPolicies whose use may be another.
  TranslationDelta delta_;
};

TranslationDelta IncrementalTranslation::Update(const MeshChanges& changes) {
  Index(changes.objects);
  const bool whole = first_ || changes.removal != removal_;
  removal_ = changes.removal;
  Affected affected = whole
                          ? Affected{.all = true}
                          : FindAffected(changes.objects, {objects_, options_, pods_, endpoints_});
  SetCaptured(changes.captured, affected);
  TranslationDelta delta = Round(*this, changes.objects, whole).Run(affected);
  first_ = false;
  return delta;
}

// The versions before are taken out first: they are alive only as long as `changes` is.
void IncrementalTranslation::Index(const std::vector<api::ObjectChange>& changes) {
  for (const api::ObjectChange& change : changes) {
    VisitChange(change, [this]<typename T>(const T* before, const T* after) {
      if constexpr (std::is_same_v<T, api::Pod>) {
        if (before != nullptr) pods_.Remove(*before);
        if (after != nullptr) pods_.Add(*after);
      } else if constexpr (std::is_same_v<T, api::Service> ||
                           std::is_same_v<T, api::EndpointSlice>) {
        if (before != nullptr) endpoints_.Remove(*before);
        if (after != nullptr) endpoints_.Add(*after);
      }
    });
  }
}

void IncrementalTranslation::SetCaptured(const CapturedPods& captured, Affected& affected) {
  for (const auto& [node, uids] : captured) {
    std::set<std::string>& before = captured_[node];
    std::vector<std::string> differing;
    std::ranges::set_symmetric_difference(before, uids, std::back_inserter(differing));
    before = uids;
    if (before.empty()) captured_.erase(node);
    for (const std::string& uid : differing) {
      for (const api::Pod* pod : pods_.WithUid(uid)) affected.pods.insert(pod);
    }
  }
}

}  // namespace heddle::controlplane::translate
