#include "controlplane/translate/translate.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "controlplane/translate/addresses.h"
#include "controlplane/translate/authorization.h"
#include "controlplane/translate/enrollment.h"
#include "controlplane/translate/interception.h"
#include "controlplane/translate/peer_authentication.h"
#include "controlplane/translate/service_endpoints.h"
#include "proto/node.pb.h"

namespace heddle::controlplane::translate {
namespace {

class Translator {
 public:
  Translator(const api::ObjectStore& objects, const CapturedPods& captured,
             const MeshOptions& options, RemovalPhase removal)
      : objects_(objects),
        captured_(captured),
        options_(options),
        removal_(removal),
        endpoints_(FindEndpoints(objects, options)),
        selectors_(objects, options),
        peers_(objects, options),
        interceptions_(objects, options) {}

  Translation Run() && {
    CountUids();
    for (const auto& [name, pod] : objects_.All<api::Pod>()) {
      if (!pod->terminal) AddPod(*pod);
    }
    for (const ForeignEndpoint& endpoint : endpoints_.foreign) {
      istio::workload::Address address;
      *address.mutable_workload() = ForeignWorkload(endpoint, objects_, options_);
      out_.addresses.push_back(MakeResource(endpoint.uid, address));
    }
    for (const auto& [name, service] : objects_.All<api::Service>()) AddService(*service);
    AddPolicies();
    if (removal_ >= RemovalPhase::kRelax) Relax();
    SortResources(out_.addresses);
    SortResources(out_.authorizations);
    for (auto& [node, pods] : out_.node_pods) SortResources(pods);
    return std::move(out_);
  }

 private:
  // Two pods with one uid cannot both be right, and a node would take one for the other.
  void CountUids() {
    for (const auto& [name, pod] : objects_.All<api::Pod>()) {
      if (!pod->terminal && !pod->meta.uid.empty() && !uids_.insert(pod->meta.uid).second)
        shared_uids_.insert(pod->meta.uid);
    }
  }

  void Note(const api::Pod& pod, bool effective, std::string note) {
    out_.statuses.push_back({.object = {api::Kind::kPod, api::NameOf(pod.meta)},
                             .effective = effective,
                             .note = std::move(note)});
  }

  bool HasUsableUid(const api::Pod& pod) const {
    return !pod.meta.uid.empty() && !shared_uids_.contains(pod.meta.uid);
  }

  bool IsCaptured(const api::Pod& pod) const {
    const auto node = captured_.find(pod.node_name);
    return node != captured_.end() && node->second.contains(pod.meta.uid);
  }

  void AddPod(const api::Pod& pod) {
    const bool enrolled = removal_ < RemovalPhase::kRelease &&
                          IsEnrolled(pod, objects_, options_) && HasUsableUid(pod);
    if (!pod.node_name.empty()) AddNodePod(pod, enrolled);
    if (pod.ips.empty()) return;
    WorkloadFacts facts{
        .hbone = removal_ < RemovalPhase::kPlain && enrolled && IsCaptured(pod)};
    if (const auto found = endpoints_.pods.find(api::NameOf(pod.meta));
        found != endpoints_.pods.end()) {
      facts.services = &found->second;
    }
    if (removal_ < RemovalPhase::kRelax) {
      selectors_.AppendFor(pod, facts.policies);
      peers_.AppendFor(pod, facts.policies);
      std::sort(facts.policies.begin(), facts.policies.end());
    }
    istio::workload::Address address;
    *address.mutable_workload() = PodWorkload(pod, objects_, options_, facts);
    out_.addresses.push_back(MakeResource(address.workload().uid(), address));
  }

  void AddNodePod(const api::Pod& pod, bool enrolled) {
    if (!HasUsableUid(pod)) {
      return Note(pod, false,
                  pod.meta.uid.empty()
                      ? "has no metadata.uid: it cannot be captured"
                      : "shares its metadata.uid with another pod: neither can be captured");
    }
    heddle::node::v1::NodePod message;
    message.set_uid(pod.meta.uid);
    message.set_namespace_(pod.meta.name_space);
    message.set_name(pod.meta.name);
    message.set_service_account(pod.service_account);
    message.set_trust_domain(options_.trust_domain);
    message.set_enrolled(enrolled);
    message.set_host_network(pod.host_network);
    message.set_workload_uid(WorkloadUidOf(pod, options_));
    if (const auto of_all = IsNamespaceEnrolled(pod.meta.name_space, objects_, options_)) {
      const bool all = *of_all && removal_ < RemovalPhase::kRelease;
      message.set_namespace_enrollment(all ? heddle::node::v1::NAMESPACE_ENROLLED
                                               : heddle::node::v1::NAMESPACE_NONE);
    }
    for (const io::IpAddress& address : pod.ips) {
      const std::span<const uint8_t> bytes = address.native_bytes();
      message.add_pod_ips(std::string(bytes.begin(), bytes.end()));
    }
    if (enrolled) {
      std::vector<std::string> notes;
      auto interception = interceptions_.Of(pod, notes);
      if (interception.ByteSizeLong() > 0)
        *message.mutable_interception() = std::move(interception);
      for (std::string& note : notes) Note(pod, true, std::move(note));
    }
    out_.node_pods[pod.node_name].push_back(MakeResource(pod.meta.uid, message));
    out_.identities[pod.node_name].insert(IdentityOf(pod, options_));
  }

  void AddService(const api::Service& service) {
    if (service.external_name) return;
    istio::workload::Address address;
    *address.mutable_service() = ServiceMessage(service, options_);
    out_.addresses.push_back(MakeResource(ServiceKey(service.meta, options_), address));
  }

  void AddPolicies() {
    for (const auto& [name, policy] : objects_.All<api::AuthorizationPolicy>()) {
      api::ObjectStatus status{.object = {api::Kind::kAuthorizationPolicy, name}};
      const auto message = TranslatePolicy(*policy, options_, status);
      if (message.has_value())
        out_.authorizations.push_back(MakeResource(name.ToString(), *message));
      out_.statuses.push_back(std::move(status));
    }
    for (const istio::security::Authorization& message : peers_.Policies()) {
      out_.authorizations.push_back(
          MakeResource(message.namespace_() + "/" + message.name(), message));
    }
    for (api::ObjectStatus& status : peers_.Statuses()) out_.statuses.push_back(std::move(status));
    for (api::ObjectStatus& status : interceptions_.Statuses())
      out_.statuses.push_back(std::move(status));
  }

  // Namespaces and the whole mesh have policies that no workload names: they go as well.
  void Relax() {
    out_.authorizations.clear();
    for (api::ObjectStatus& status : out_.statuses) {
      const api::Kind kind = status.object.kind;
      if (kind != api::Kind::kAuthorizationPolicy && kind != api::Kind::kPeerAuthentication)
        continue;
      status.effective = false;
      status.note = "has no effect: the mesh is being removed";
    }
  }

  const api::ObjectStore& objects_;
  const CapturedPods& captured_;
  const MeshOptions& options_;
  const RemovalPhase removal_;
  const Endpoints endpoints_;
  const PolicySelectors selectors_;
  const PeerAuthentications peers_;
  Interceptions interceptions_;
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
