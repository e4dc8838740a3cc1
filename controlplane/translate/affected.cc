#include "controlplane/translate/affected.h"

#include <algorithm>
#include <string>

#include "controlplane/translate/authorization.h"

namespace heddle::controlplane::translate {
namespace {

class AffectedFinder {
 public:
  explicit AffectedFinder(const Indexes& indexes) : in_(indexes) {}

  Affected Find(const std::vector<api::ObjectChange>& changes) && {
    for (const api::ObjectChange& change : changes) {
      if (const auto* slice = VersionOf<api::EndpointSlice>(change.after)) changed_.insert(slice);
    }
    for (const api::ObjectChange& change : changes)
      VisitChange(change, [this](const auto* before, const auto* after) { Mark(before, after); });
    return std::move(out_);
  }

 private:
  void Mark(const api::Pod* before, const api::Pod* after) {
    const api::NamespacedName name = api::NameOf((after == nullptr ? before : after)->meta);
    MarkPod(name);
    const bool there_as_before = before != nullptr && after != nullptr;
    if (!there_as_before) {
      for (const api::EndpointSlice* slice : in_.endpoints.SlicesNaming(name))
        out_.slices.insert(slice);
    } else if (before->meta.uid == after->meta.uid && before->terminal == after->terminal) {
      return;
    }
    for (const api::Pod* version : {before, after}) {
      if (version == nullptr || version->meta.uid.empty()) continue;
      for (const api::Pod* pod : in_.pods.WithUid(version->meta.uid)) out_.pods.insert(pod);
    }
  }

  void Mark(const api::Namespace* before, const api::Namespace* after) {
    MarkNamespace((after == nullptr ? before : after)->meta.name, {});
  }

  void Mark(const api::Node* before, const api::Node* after) {
    if (before != nullptr && after != nullptr && before->meta.labels == after->meta.labels) return;
    const std::string& node = (after == nullptr ? before : after)->meta.name;
    for (const api::Pod* pod : in_.pods.OnNode(node)) out_.pods.insert(pod);
    for (const auto& [name, slice] : in_.objects.All<api::EndpointSlice>()) {
      if (std::ranges::any_of(slice->endpoints,
                              [&](const api::Endpoint& e) { return e.node_name == node; }))
        out_.slices.insert(slice.get());
    }
  }

  // The name of a pod's account is the pod's own.
  void Mark(const api::ServiceAccount*, const api::ServiceAccount*) {}
  // Its phase is told apart (MeshChanges).
  void Mark(const api::Removal*, const api::Removal*) {}

  void Mark(const api::Service* before, const api::Service* after) {
    const EndpointIndex::Slices slices =
        in_.endpoints.SlicesOf(api::NameOf((after == nullptr ? before : after)->meta));
    for (const api::EndpointSlice* slice : slices) {
      out_.slices.insert(slice);
      MarkEndpoints(*slice);
    }
    if (!MayBeNew(slices)) return;
    for (const api::Service* version : {before, after}) {
      if (version != nullptr && !version->selector.empty())
        MarkNamespace(version->meta.name_space, version->selector);
    }
  }

  void Mark(const api::EndpointSlice* before, const api::EndpointSlice* after) {
    if (after != nullptr) {
      const auto* current = in_.objects.Find<api::EndpointSlice>(api::NameOf(after->meta));
      if (current != nullptr) out_.slices.insert(current);
    }
    const bool same_service =
        before != nullptr && after != nullptr && before->service == after->service;
    for (const api::EndpointSlice* version : {before, after}) {
      if (version == nullptr) continue;
      MarkEndpoints(*version);
      if (!same_service) MarkIfFirstOrLast(*version);
    }
  }

  // Without slices it is the selector that counts.
  void MarkIfFirstOrLast(const api::EndpointSlice& slice) {
    const api::NamespacedName name{slice.meta.name_space, slice.service};
    const auto* service = in_.objects.Find<api::Service>(name);
    if (service == nullptr || service->selector.empty()) return;
    if (MayBeNew(in_.endpoints.SlicesOf(name))) MarkNamespace(name.name_space, service->selector);
  }

  // Whether a service that has these slices may have had none before.
  bool MayBeNew(const EndpointIndex::Slices& slices) const {
    return std::ranges::all_of(slices,
                               [this](const auto* slice) { return changed_.contains(slice); });
  }

  void Mark(const api::AuthorizationPolicy* before, const api::AuthorizationPolicy* after) {
    const bool selected = before != nullptr && SelectsWorkloads(*before);
    const bool selects = after != nullptr && SelectsWorkloads(*after);
    // Workloads name it; what it says is its own resource's.
    if (selected && selects && before->selector == after->selector) return;
    if (selected) MarkScope(before->meta.name_space, before->selector);
    if (selects) MarkScope(after->meta.name_space, after->selector);
  }

  void Mark(const api::PeerAuthentication* before, const api::PeerAuthentication* after) {
    MarkLevel(before);
    MarkLevel(after);
  }

  void Mark(const api::InterceptionPolicy* before, const api::InterceptionPolicy* after) {
    MarkLevel(before);
    MarkLevel(after);
  }

  // Where one policy counts as a whole (PolicyLevels).
  template <typename Policy>
  void MarkLevel(const Policy* policy) {
    if (policy != nullptr) MarkScope(policy->meta.name_space, policy->selector);
  }

  void MarkScope(const std::string& name_space, const api::Labels& selector) {
    if (name_space != in_.options.root_namespace) return MarkNamespace(name_space, selector);
    for (const auto& [name, pod] : in_.objects.All<api::Pod>()) {
      if (api::Selects(selector, pod->meta.labels)) out_.pods.insert(pod.get());
    }
  }

  void MarkNamespace(const std::string& name_space, const api::Labels& selector) {
    const auto& pods = in_.objects.All<api::Pod>();
    for (auto at = pods.lower_bound({name_space, ""}); at != pods.end(); ++at) {
      if (at->first.name_space != name_space) break;
      if (api::Selects(selector, at->second->meta.labels)) out_.pods.insert(at->second.get());
    }
  }

  void MarkEndpoints(const api::EndpointSlice& slice) {
    for (const api::Endpoint& endpoint : slice.endpoints) {
      if (!endpoint.pod.empty()) MarkPod({slice.meta.name_space, endpoint.pod});
    }
  }

  void MarkPod(const api::NamespacedName& name) {
    if (const auto* pod = in_.objects.Find<api::Pod>(name)) out_.pods.insert(pod);
  }

  const Indexes& in_;
  absl::flat_hash_set<const api::EndpointSlice*> changed_;
  Affected out_;
};

}  // namespace

Affected FindAffected(const std::vector<api::ObjectChange>& changes, const Indexes& indexes) {
  return AffectedFinder(indexes).Find(changes);
}

}  // namespace heddle::controlplane::translate
