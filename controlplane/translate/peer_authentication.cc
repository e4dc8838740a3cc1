#include "controlplane/translate/peer_authentication.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

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
    : objects_(objects), options_(options) {
  for (const auto& [name, policy] : objects.All<PeerAuthentication>()) {
    if (!policy->selector.empty()) {
      if (name.name_space != options.root_namespace)
        workload_level_[name.name_space].push_back(policy.get());
      continue;
    }
    const PeerAuthentication*& oldest = namespace_level_[name.name_space];
    if (oldest == nullptr || api::OlderThan(policy->meta, oldest->meta)) oldest = policy.get();
  }
  for (auto& [name_space, policies] : workload_level_) {
    std::sort(policies.begin(), policies.end(),
              [](const auto* a, const auto* b) { return api::OlderThan(a->meta, b->meta); });
  }
}

bool PeerAuthentications::InheritedStrict(const std::string& name_space) const {
  for (const std::string& level : {name_space, options_.root_namespace}) {
    const auto found = namespace_level_.find(level);
    if (found != namespace_level_.end() && found->second->mode != MtlsMode::kUnset) {
      return found->second->mode == MtlsMode::kStrict;
    }
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
  if (const auto found = workload_level_.find(pod.meta.name_space);
      found != workload_level_.end()) {
    for (const PeerAuthentication* policy : found->second) {
      if (!api::Selects(policy->selector, pod.meta.labels)) continue;
      effective = EffectiveOf(*policy);
      if (!effective.exceptions.empty()) {
        policies.push_back(absl::StrCat(policy->meta.name_space, "/", ConvertedName(*policy)));
        return;
      }
      break;
    }
  }
  if (effective.strict)
    policies.push_back(absl::StrCat(options_.root_namespace, "/", std::string(kStaticStrict)));
}

std::vector<wire::Authorization> PeerAuthentications::Policies() const {
  std::vector<wire::Authorization> messages;
  if (objects_.All<PeerAuthentication>().empty()) return messages;
  messages.push_back(DenyPolicy(options_.root_namespace, std::string(kStaticStrict)));
  for (const auto& [name_space, policies] : workload_level_) {
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
    const bool in_root = name.name_space == options_.root_namespace;
    if (!policy->selector.empty() && in_root) {
      status.effective = false;
      status.note = "a selector in the root namespace has no effect";
    } else if (policy->selector.empty() && namespace_level_.at(name.name_space) != policy.get()) {
      status.effective = false;
      status.note =
          absl::StrCat("an older one counts: ", namespace_level_.at(name.name_space)->meta.name);
    } else if (policy->mode == MtlsMode::kDisable) {
      status.note = "DISABLE is treated like PERMISSIVE";
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

}  // namespace heddle::controlplane::translate
