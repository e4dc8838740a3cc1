#include "agent/model/decode.h"
#include "agent/model/decode_values.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

namespace wire = heddle::node::v1;

// Exclusions of one pod: lists that a person writes.
constexpr int kMaxExclusions = 1024;

absl::Status DecodePorts(const google::protobuf::RepeatedField<uint32_t>& messages, std::vector<uint16_t>& out) {
  if (messages.size() > kMaxExclusions) return TooMany("excluded ports", messages.size(), kMaxExclusions);
  for (const uint32_t message : messages) {
    TRY_ASSIGN(const uint16_t port, DecodePort(message, "excluded port"));
    out.push_back(port);
  }
  return absl::OkStatus();
}

absl::Status DecodeCidrs(const google::protobuf::RepeatedPtrField<wire::Cidr>& messages,
                         std::vector<io::IpPrefix>& out) {
  if (messages.size() > kMaxExclusions) return TooMany("excluded blocks", messages.size(), kMaxExclusions);
  for (const wire::Cidr& cidr : messages) {
    TRY_ASSIGN(const io::IpPrefix prefix, DecodePrefix(cidr.address(), cidr.length(), "excluded block"));
    out.push_back(prefix);
  }
  return absl::OkStatus();
}

absl::StatusOr<Interception> DecodeInterception(const wire::Interception& message) {
  Interception interception;
  TRY_STATUS(DecodePorts(message.excluded_inbound_ports(), interception.excluded_inbound_ports));
  TRY_STATUS(DecodePorts(message.excluded_outbound_ports(), interception.excluded_outbound_ports));
  TRY_STATUS(DecodeCidrs(message.excluded_inbound_cidrs(), interception.excluded_inbound_cidrs));
  TRY_STATUS(DecodeCidrs(message.excluded_outbound_cidrs(), interception.excluded_outbound_cidrs));
  switch (message.fail_mode()) {
    case wire::CLOSED: interception.fail_mode = FailMode::kClosed; break;
    case wire::OPEN: interception.fail_mode = FailMode::kOpen; break;
    default: return UnknownEnum("fail mode", message.fail_mode());
  }
  return interception;
}

// What a newer controller may say beyond is as good as nothing said.
NamespaceMode DecodeNamespaceMode(wire::NamespaceEnrollment message) {
  if (message == wire::NAMESPACE_ENROLLED) return NamespaceMode::kEnrolled;
  if (message == wire::NAMESPACE_NONE) return NamespaceMode::kNone;
  return NamespaceMode::kUnknown;
}

}  // namespace

absl::StatusOr<NodePod> DecodeNodePod(const wire::NodePod& message) {
  if (message.uid().empty()) return absl::InvalidArgumentError("the pod has no uid");
  if (message.pod_ips_size() > kMaxWorkloadAddresses) {
    return TooMany("addresses", message.pod_ips_size(), kMaxWorkloadAddresses);
  }
  TRY_ASSIGN(tls::SpiffeId identity,
             MakeIdentity(message.trust_domain(), message.namespace_(), message.service_account()));
  NodePod pod{.uid = PodUid(message.uid()),
              .name_space = message.namespace_(),
              .name = message.name(),
              .identity = std::move(identity),
              .enrolled = message.enrolled(),
              .host_network = message.host_network(),
              .workload = WorkloadUid(message.workload_uid()),
              .namespace_mode = DecodeNamespaceMode(message.namespace_enrollment())};
  for (const std::string& bytes : message.pod_ips()) {
    TRY_ASSIGN(const io::IpAddress address, DecodeAddress(bytes, "pod address"));
    pod.pod_ips.push_back(address);
  }
  TRY_ASSIGN(pod.interception, DecodeInterception(message.interception()));
  return pod;
}

}  // namespace heddle::agent
