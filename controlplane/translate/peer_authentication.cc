#include "controlplane/translate/peer_authentication.h"

#include <absl/strings/str_cat.h>

namespace heddle::controlplane::translate {
namespace {

namespace wire = istio::security;
using api::MtlsMode;
using api::PeerAuthentication;

constexpr std::string_view kStaticStrict = "istio_converted_static_strict";

std::string ConvertedName(const PeerAuthentication& policy) {
  return absl::StrCat("converted_peer_authentication_", policy.meta.name);
}

wire::Authorization DenyPolicy(std::string name_space, std::string name) {
  wire::Authorization message;
  message.set_namespace_(std::move(name_space));
  message.set_name(std::move(name));
  message.set_action(wire::DENY);
  message.set_scope(wire::WORKLOAD_SELECTOR);
  message.add_rules()->add_clauses()->add_matches()->add_not_principals()->mutable_presence();
  return message;
}

}  // namespace

PeerAuthentications::PeerAuthentications(const api::ObjectStore& objects,
                                         const MeshOptions& options)
    : objects_(objects), options_(options), levels_(objects, options.root_namespace) {}

bool PeerAuthentications::InheritedStrict(const std::string& name_space) const {
  for (const PeerAuthentication* policy : {levels_.OfNamespace(name_space), levels_.OfMesh()}) {
    if (policy != nullptr && policy->mode != MtlsMode::kUnset)
      return policy->mode == MtlsMode::kStrict;
  }
  return false;
}

PeerAuthentications::Effective PeerAuthentications::EffectiveOf(
    const PeerAuthentication& policy) const {
  Effective effective;
  effective.strict = policy.mode == MtlsMode::kUnset ? InheritedStrict(policy.meta.name_space)
                                                     : policy.mode == MtlsMode::kStrict;
  for (const auto& [port, mode] : policy.port_modes) {
    if (mode != MtlsMode::kUnset && (mode == MtlsMode::kStrict) != effective.strict)
      effective.exceptions.push_back(port);
  }
  return effective;
}

void PeerAuthentications::AppendFor(const api::Pod& pod, std::vector<std::string>& policies) const {
  Effective effective{.strict = InheritedStrict(pod.meta.name_space)};
  if (const auto selecting = levels_.Selecting(pod); !selecting.empty()) {
    const PeerAuthentication& policy = *selecting.front();
    effective = EffectiveOf(policy);
    if (!effective.exceptions.empty()) {
      policies.push_back(absl::StrCat(policy.meta.name_space, "/", ConvertedName(policy)));
      return;
    }
  }
  if (effective.strict)
    policies.push_back(absl::StrCat(options_.root_namespace, "/", std::string(kStaticStrict)));
}

std::vector<wire::Authorization> PeerAuthentications::Policies() const {
  std::vector<wire::Authorization> messages;
  if (objects_.All<PeerAuthentication>().empty()) return messages;
  messages.push_back(DenyPolicy(options_.root_namespace, std::string(kStaticStrict)));
  for (const auto& [name_space, policies] : levels_.workload_level()) {
    for (const PeerAuthentication* policy : policies) {
      const Effective effective = EffectiveOf(*policy);
      if (effective.exceptions.empty()) continue;
      wire::Authorization& message =
          messages.emplace_back(DenyPolicy(name_space, ConvertedName(*policy)));
      wire::Match* ports = message.mutable_rules(0)->add_clauses()->add_matches();
      for (const uint16_t port : effective.exceptions) {
        if (effective.strict) {
          ports->add_not_destination_ports(port);
        } else {
          ports->add_destination_ports(port);
        }
      }
    }
  }
  return messages;
}

std::vector<api::ObjectStatus> PeerAuthentications::Statuses() const {
  std::vector<api::ObjectStatus> statuses;
  for (const auto& [name, policy] : objects_.All<PeerAuthentication>()) {
    api::ObjectStatus status{.object = {api::Kind::kPeerAuthentication, name}};
    status.note = levels_.WithoutEffect(*policy);
    status.effective = status.note.empty();
    if (status.effective && policy->mode == MtlsMode::kDisable) {
      status.note = "DISABLE is treated like PERMISSIVE";
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

}  // namespace heddle::controlplane::translate
