#include "agent/model/workload_view.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/model/decode.h"

namespace heddle::agent {
namespace {

namespace wire = istio::workload;

// protobuf.dev/programming-guides/encoding
enum WireType : uint32_t { kVarint = 0, kLength = 2 };

struct Field {
  uint32_t number = 0;
  uint32_t type = 0;
  uint32_t value = 0;      // Of a varint.
  std::string_view bytes;  // Of what has a length.
};

// The fields of one message, as long as they are numbers of 32 bits and what has a length, encoded as short as it can
// be.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message)
      : at_(reinterpret_cast<const uint8_t*>(message.data())), end_(at_ + message.size()) {}

  bool done() const { return at_ == end_; }

  bool Next(Field& field) {
    uint32_t tag = 0;
    if (!ReadNumber(tag) || !ReadNumber(field.value)) return false;
    field.number = tag >> 3;
    field.type = tag & 7;
    if (field.type == kVarint) return true;
    if (field.type != kLength || field.value > static_cast<size_t>(end_ - at_)) return false;
    field.bytes = {reinterpret_cast<const char*>(at_), field.value};
    at_ += field.value;
    return true;
  }

 private:
  bool ReadNumber(uint32_t& value) {
    uint64_t read = 0;
    for (int shift = 0; shift < 35 && at_ != end_; shift += 7) {
      const uint8_t byte = *at_++;
      read |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      value = static_cast<uint32_t>(read);
      return read <= UINT32_MAX && (byte != 0 || shift == 0);
    }
    return false;
  }

  const uint8_t* at_;
  const uint8_t* const end_;
};

// False as soon as `visit` is, or where the bytes end within a field.
template <typename Visit>
bool VisitFields(std::string_view message, Visit visit) {
  FieldReader reader(message);
  Field field;
  while (!reader.done()) {
    if (!reader.Next(field) || !visit(field)) return false;
  }
  return true;
}

bool IsAscii(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  uint64_t seen = 0;
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, 8);
    seen |= eight;
  }
  for (; at < text.size(); ++at) seen |= static_cast<uint8_t>(text[at]);
  return (seen & kHighBits) == 0;
}

// The last one counts, as everywhere with protobuf.
bool SetText(const Field& field, std::string_view& text) {
  text = field.bytes;
  return field.type == kLength && IsAscii(text);
}

bool SetNumber(const Field& field, uint32_t& number) {
  number = field.value;
  return field.type == kVarint;
}

bool SetEnum(const Field& field, int& number) {
  number = static_cast<int>(field.value);
  return field.type == kVarint;
}

bool SetBool(const Field& field, bool& value) {
  value = field.value != 0;
  return field.type == kVarint;
}

bool ViewPort(std::string_view bytes, WorkloadView::Port& port) {
  return VisitFields(bytes, [&port](const Field& field) {
    if (field.number == wire::Port::kServicePortFieldNumber)
      return SetNumber(field, port.service_port);
    if (field.number == wire::Port::kTargetPortFieldNumber)
      return SetNumber(field, port.target_port);
    return field.number == wire::Port::kAppProtocolFieldNumber &&
           field.type == kVarint;  // Of no use to us.
  });
}

bool ViewPorts(std::string_view bytes, WorkloadView& view) {
  return VisitFields(bytes, [&view](const Field& field) {
    return field.number == wire::PortList::kPortsFieldNumber && field.type == kLength &&
           ViewPort(field.bytes, view.ports.emplace_back());
  });
}

// An entry of a map is a message with these two (protobuf.dev/programming-guides/encoding#maps).
bool ViewService(const Field& entry, WorkloadView& view) {
  constexpr uint32_t kKey = 1;
  constexpr uint32_t kValue = 2;
  if (entry.type != kLength) return false;
  WorkloadView::Service service{.name = {}, .ports_begin = view.ports.size()};
  uint32_t last = 0;
  const bool plain = VisitFields(entry.bytes, [&](const Field& field) {
    if (std::exchange(last, field.number) >= field.number) return false;
    if (field.number == kKey) return SetText(field, service.name);
    return field.number == kValue && field.type == kLength && ViewPorts(field.bytes, view);
  });
  service.ports_end = view.ports.size();
  view.services.push_back(service);
  return plain && view.services.size() <= kMaxWorkloadServices;
}

bool ViewLocality(const Field& locality, WorkloadView& view) {
  return locality.type == kLength && VisitFields(locality.bytes, [&view](const Field& field) {
           switch (field.number) {
             case wire::Locality::kRegionFieldNumber: return SetText(field, view.region);
             case wire::Locality::kZoneFieldNumber: return SetText(field, view.zone);
             case wire::Locality::kSubzoneFieldNumber: return SetText(field, view.subzone);
             default: return false;
           }
         });
}

bool ViewCapacity(const Field& capacity, WorkloadView& view) {
  view.capacity = 0;
  return capacity.type == kLength && VisitFields(capacity.bytes, [&view](const Field& field) {
           return field.number == google::protobuf::UInt32Value::kValueFieldNumber &&
                  SetNumber(field, view.capacity);
         });
}

bool ViewText(const Field& field, WorkloadView& view) {
  switch (field.number) {
    case wire::Workload::kUidFieldNumber: return SetText(field, view.uid);
    case wire::Workload::kNameFieldNumber: return SetText(field, view.name);
    case wire::Workload::kNamespaceFieldNumber: return SetText(field, view.name_space);
    case wire::Workload::kNetworkFieldNumber: return SetText(field, view.network);
    case wire::Workload::kClusterIdFieldNumber: return SetText(field, view.cluster_id);
    case wire::Workload::kNodeFieldNumber: return SetText(field, view.node);
    case wire::Workload::kHostnameFieldNumber: return SetText(field, view.hostname);
    case wire::Workload::kTrustDomainFieldNumber: return SetText(field, view.trust_domain);
    case wire::Workload::kServiceAccountFieldNumber: return SetText(field, view.service_account);
    case wire::Workload::kWorkloadNameFieldNumber: return SetText(field, view.workload_name);
    case wire::Workload::kCanonicalNameFieldNumber: return SetText(field, view.canonical_name);
    case wire::Workload::kCanonicalRevisionFieldNumber:
      return SetText(field, view.canonical_revision);
    case wire::Workload::kAuthorizationPoliciesFieldNumber:
      return view.authorization_policies.size() < kMaxPolicyReferences &&
             SetText(field, view.authorization_policies.emplace_back());
    case wire::Workload::kWaypointFieldNumber:
    case wire::Workload::kNetworkGatewayFieldNumber:
    case wire::Workload::kApplicationTunnelFieldNumber:
    case wire::Workload::kExtensionsFieldNumber: return false;
    // What protobuf does not know it does not look at, and a later version's field must not send every workload to it.
    default: return field.number != 0;
  }
}

bool ViewField(const Field& field, WorkloadView& view) {
  switch (field.number) {
    case wire::Workload::kAddressesFieldNumber:
      view.addresses.push_back(field.bytes);
      return field.type == kLength && view.addresses.size() <= kMaxWorkloadAddresses;
    case wire::Workload::kTunnelProtocolFieldNumber: return SetEnum(field, view.tunnel_protocol);
    case wire::Workload::kWorkloadTypeFieldNumber: return SetEnum(field, view.workload_type);
    case wire::Workload::kStatusFieldNumber: return SetEnum(field, view.status);
    case wire::Workload::kNetworkModeFieldNumber: return SetEnum(field, view.network_mode);
    case wire::Workload::kNativeTunnelFieldNumber: return SetBool(field, view.native_tunnel);
    case wire::Workload::kServicesFieldNumber: return ViewService(field, view);
    default: return ViewText(field, view);
  }
}

// The later of two with one name would replace the earlier.
bool HasServiceTwice(const std::vector<WorkloadView::Service>& services) {
  if (services.size() < 2) return false;
  std::vector<std::string_view> names;
  names.reserve(services.size());
  for (const WorkloadView::Service& service : services) names.push_back(service.name);
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) != names.end();
}

}  // namespace

void WorkloadView::Clear() {
  addresses.clear();
  authorization_policies.clear();
  services.clear();
  ports.clear();
  *this = {.addresses = std::move(addresses),
           .authorization_policies = std::move(authorization_policies),
           .services = std::move(services),
           .ports = std::move(ports)};
}

void ViewWorkload(const wire::Workload& message, WorkloadView& view) {
  view.Clear();
  view.uid = message.uid();
  view.name = message.name();
  view.name_space = message.namespace_();
  view.network = message.network();
  view.cluster_id = message.cluster_id();
  view.node = message.node();
  view.hostname = message.hostname();
  view.trust_domain = message.trust_domain();
  view.service_account = message.service_account();
  view.workload_name = message.workload_name();
  view.canonical_name = message.canonical_name();
  view.canonical_revision = message.canonical_revision();
  view.region = message.locality().region();
  view.zone = message.locality().zone();
  view.subzone = message.locality().subzone();
  view.addresses.assign(message.addresses().begin(), message.addresses().end());
  view.authorization_policies.assign(message.authorization_policies().begin(),
                                     message.authorization_policies().end());
  for (const auto& [name, list] : message.services()) {
    const size_t begin = view.ports.size();
    for (const wire::Port& port : list.ports())
      view.ports.push_back({port.service_port(), port.target_port()});
    view.services.push_back({name, begin, view.ports.size()});
  }
  view.tunnel_protocol = message.tunnel_protocol();
  view.workload_type = message.workload_type();
  view.status = message.status();
  view.network_mode = message.network_mode();
  view.capacity = message.has_capacity() ? message.capacity().value() : 1;
  view.native_tunnel = message.native_tunnel();
}

bool ViewPlainWorkload(std::string_view address, WorkloadView& view) {
  view.Clear();
  FieldReader outer(address);
  Field workload;
  if (!outer.Next(workload) || !outer.done()) return false;
  if (workload.number != wire::Address::kWorkloadFieldNumber || workload.type != kLength)
    return false;
  bool has_locality = false;
  bool has_capacity = false;
  const bool plain = VisitFields(workload.bytes, [&](const Field& field) {
    // These would be merged.
    if (field.number == wire::Workload::kLocalityFieldNumber) {
      return !std::exchange(has_locality, true) && ViewLocality(field, view);
    }
    if (field.number == wire::Workload::kCapacityFieldNumber) {
      return !std::exchange(has_capacity, true) && ViewCapacity(field, view);
    }
    return ViewField(field, view);
  });
  return plain && !HasServiceTwice(view.services);
}

}  // namespace heddle::agent
