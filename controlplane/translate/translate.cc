#include "controlplane/translate/translate.h"

#include <string_view>
#include <utility>

#include "controlplane/translate/addresses.h"
#include "controlplane/translate/authorization.h"
#include "controlplane/translate/interception.h"
#include "controlplane/translate/peer_authentication.h"
#include "controlplane/translate/pod_derivation.h"
#include "controlplane/translate/service_endpoints.h"

namespace heddle::controlplane::translate {
namespace {

class Translator {
 public:
  Translator(const api::ObjectStore& objects, const CapturedPods& captured,
             const MeshOptions& options, RemovalPhase removal)
      : objects_(objects),
        options_(options),
        endpoints_(FindEndpoints(objects, options)),
        selectors_(objects, options),
        peers_(objects, options),
        interceptions_(objects, options),
        context_{.objects = objects,
                 .captured = captured,
                 .options = options,
                 .selectors = selectors_,
                 .peers = peers_,
                 .interceptions = interceptions_,
                 .removal = removal} {}

  Translation Run() && {
    CountUids();
    for (const auto& [name, pod] : objects_.All<api::Pod>()) AddPod(name, *pod);
    for (const ForeignEndpoint& endpoint : endpoints_.foreign)
      out_.addresses.push_back(ForeignResource(endpoint, objects_, options_));
    for (const auto& [name, service] : objects_.All<api::Service>()) {
      if (!service->external_name) out_.addresses.push_back(ServiceResource(*service, options_));
    }
    AddPolicies();
    if (context_.removal >= RemovalPhase::kRelax) RelaxAll();
    SortResources(out_.addresses);
    SortResources(out_.authorizations);
    for (auto& [node, pods] : out_.node_pods) SortResources(pods);
    return std::move(out_);
  }

 private:
  void CountUids() {
    for (const auto& [name, pod] : objects_.All<api::Pod>()) {
      if (!pod->terminal && !pod->meta.uid.empty() && !uids_.insert(pod->meta.uid).second)
        shared_uids_.insert(pod->meta.uid);
    }
  }

  void AddPod(const api::NamespacedName& name, const api::Pod& pod) {
    const auto services = endpoints_.pods.find(name);
    PodDerivation derived =
        DerivePod(pod, context_,
                  {.shares_uid = shared_uids_.contains(pod.meta.uid),
                   .services = services == endpoints_.pods.end() ? nullptr : &services->second});
    uses_.Add(derived.interception);
    if (derived.workload.has_value()) out_.addresses.push_back(*std::move(derived.workload));
    if (derived.node_pod.has_value())
      out_.node_pods[pod.node_name].push_back(*std::move(derived.node_pod));
    if (!derived.identity.empty())
      out_.identities[pod.node_name].insert(std::move(derived.identity));
    for (api::ObjectStatus& note : derived.notes) out_.statuses.push_back(std::move(note));
  }

  void AddPolicies() {
    for (const auto& [name, policy] : objects_.All<api::AuthorizationPolicy>()) {
      api::ObjectStatus status{.object = {api::Kind::kAuthorizationPolicy, name}};
      const auto message = TranslatePolicy(*policy, options_, status);
      if (message.has_value())
        out_.authorizations.push_back(MakeResource(name.ToString(), *message));
      out_.statuses.push_back(std::move(status));
    }
    for (const istio::security::Authorization& message : peers_.Policies())
      out_.authorizations.push_back(PolicyResource(message));
    for (api::ObjectStatus& status : peers_.Statuses()) out_.statuses.push_back(std::move(status));
    for (const auto& [name, policy] : objects_.All<api::InterceptionPolicy>())
      out_.statuses.push_back(uses_.StatusOf(*policy, interceptions_, objects_));
  }

  // Namespaces and the whole mesh have policies that no workload names: they go as well.
  void RelaxAll() {
    out_.authorizations.clear();
    for (api::ObjectStatus& status : out_.statuses) {
      const api::Kind kind = status.object.kind;
      if (kind == api::Kind::kAuthorizationPolicy || kind == api::Kind::kPeerAuthentication)
        Relax(status);
    }
  }

  const api::ObjectStore& objects_;
  const MeshOptions& options_;
  const Endpoints endpoints_;
  const PolicySelectors selectors_;
  const PeerAuthentications peers_;
  const Interceptions interceptions_;
  const PodContext context_;
  InterceptionUses uses_;
  std::set<std::string_view> uids_;
  std::set<std::string_view> shared_uids_;
  Translation out_;
};

}  // namespace

Translation Translate(const api::ObjectStore& objects, const CapturedPods& captured,
                      const MeshOptions& options, RemovalPhase removal) {
  return Translator(objects, captured, options, removal).Run();
}

}  // namespace heddle::controlplane::translate
