#include "controlplane/translate/pod_derivation.h"

#include <algorithm>
#include <span>
#include <utility>

#include "controlplane/translate/addresses.h"
#include "controlplane/translate/enrollment.h"
#include "proto/node.pb.h"

namespace heddle::controlplane::translate {
namespace {

class PodDeriver {
 public:
  PodDeriver(const api::Pod& pod, const PodContext& context, const PodSurroundings& surroundings)
      : pod_(pod), context_(context), surroundings_(surroundings) {}

  PodDerivation Derive() && {
    if (pod_.terminal) return {};
    const bool enrolled = context_.removal < RemovalPhase::kRelease &&
                          IsEnrolled(pod_, context_.objects, context_.options) && HasUsableUid();
    if (!pod_.node_name.empty()) DeriveNodePod(enrolled);
    if (!pod_.ips.empty()) DeriveWorkload(enrolled);
    return std::move(out_);
  }

 private:
  bool HasUsableUid() const { return translate::HasUsableUid(pod_, surroundings_.shares_uid); }

  bool IsCaptured() const {
    const auto node = context_.captured.find(pod_.node_name);
    return node != context_.captured.end() && node->second.contains(pod_.meta.uid);
  }

  void Note(bool effective, std::string note) {
    out_.notes.push_back({.object = {api::Kind::kPod, api::NameOf(pod_.meta)},
                          .effective = effective,
                          .note = std::move(note)});
  }

  void DeriveWorkload(bool enrolled) {
    WorkloadFacts facts{
        .services = surroundings_.services,
        .hbone = context_.removal < RemovalPhase::kPlain && enrolled && IsCaptured()};
    if (context_.removal < RemovalPhase::kRelax) {
      context_.selectors.AppendFor(pod_, facts.policies);
      context_.peers.AppendFor(pod_, facts.policies);
      std::sort(facts.policies.begin(), facts.policies.end());
    }
    istio::workload::Address address;
    *address.mutable_workload() = PodWorkload(pod_, context_.objects, context_.options, facts);
    out_.workload = MakeResource(address.workload().uid(), address);
  }

  void DeriveNodePod(bool enrolled) {
    if (!HasUsableUid()) {
      return Note(false, pod_.meta.uid.empty()
                             ? "has no metadata.uid: it cannot be captured"
                             : "shares its metadata.uid with another pod: neither can be captured");
    }
    heddle::node::v1::NodePod message;
    message.set_uid(pod_.meta.uid);
    message.set_namespace_(pod_.meta.name_space);
    message.set_name(pod_.meta.name);
    message.set_service_account(pod_.service_account);
    message.set_trust_domain(context_.options.trust_domain);
    message.set_enrolled(enrolled);
    message.set_host_network(pod_.host_network);
    message.set_workload_uid(WorkloadUidOf(pod_, context_.options));
    const auto of_all =
        IsNamespaceEnrolled(pod_.meta.name_space, context_.objects, context_.options);
    if (of_all.has_value()) {
      const bool all = *of_all && context_.removal < RemovalPhase::kRelease;
      message.set_namespace_enrollment(all ? heddle::node::v1::NAMESPACE_ENROLLED
                                           : heddle::node::v1::NAMESPACE_NONE);
    }
    for (const io::IpAddress& address : pod_.ips) {
      const std::span<const uint8_t> bytes = address.native_bytes();
      message.add_pod_ips(std::string(bytes.begin(), bytes.end()));
    }
    if (enrolled) AddInterception(message);
    out_.node_pod = MakeResource(pod_.meta.uid, message);
    out_.identity = IdentityOf(pod_, context_.options);
  }

  void AddInterception(heddle::node::v1::NodePod& message) {
    std::vector<std::string> notes;
    auto interception = context_.interceptions.Of(pod_, out_.interception, notes);
    if (interception.ByteSizeLong() > 0) *message.mutable_interception() = std::move(interception);
    for (std::string& note : notes) Note(true, std::move(note));
  }

  const api::Pod& pod_;
  const PodContext& context_;
  const PodSurroundings& surroundings_;
  PodDerivation out_;
};

}  // namespace

PodDerivation DerivePod(const api::Pod& pod, const PodContext& context,
                        const PodSurroundings& surroundings) {
  return PodDeriver(pod, context, surroundings).Derive();
}

}  // namespace heddle::controlplane::translate
