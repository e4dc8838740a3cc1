#include <absl/strings/str_cat.h>

#include "agent/model/policy.h"
#include "agent/model/service.h"
#include "agent/model/workload.h"

namespace heddle::agent {

std::string_view ToString(WorkloadType type) {
  switch (type) {
    case WorkloadType::kDeployment: return "deployment";
    case WorkloadType::kCronJob: return "cronjob";
    case WorkloadType::kPod: return "pod";
    case WorkloadType::kJob: return "job";
  }
  return "unknown";
}

std::string GatewayAddress::ToString() const {
  if (service.has_value()) return service->ToString();
  return absl::StrCat(network, "/", ip.has_value() ? ip->ToString() : "");
}

const PortMapping* Service::FindPort(uint16_t port) const {
  for (const PortMapping& mapping : ports) {
    if (mapping.service_port == port) return &mapping;
  }
  return nullptr;
}

bool StringMatch::Matches(std::string_view text) const {
  switch (kind) {
    case Kind::kExact: return text == value;
    case Kind::kPrefix: return text.starts_with(value);
    case Kind::kSuffix: return text.ends_with(value);
    case Kind::kPresence: return !text.empty();
  }
  return false;
}

bool Match::empty() const {
  return namespaces.empty() && not_namespaces.empty() && principals.empty() && not_principals.empty() &&
         service_accounts.empty() && not_service_accounts.empty() && source_ips.empty() && not_source_ips.empty() &&
         destination_ips.empty() && not_destination_ips.empty() && destination_ports.empty() &&
         not_destination_ports.empty();
}

}  // namespace heddle::agent
