#include "agent/model/testing/world.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/text_format.h>

#include "lib/io/address.h"

namespace heddle::agent::testing {
namespace {

std::string Bytes(const io::IpAddress& ip) {
  const auto bytes = ip.native_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string Bytes(std::string_view ip) { return Bytes(io::IpAddress::Parse(ip).value()); }

std::string TextPrefix(std::string_view prefix) {
  const io::IpPrefix parsed = io::IpPrefix::Parse(prefix).value();
  return absl::StrCat("address: \"", absl::CEscape(Bytes(parsed.address())), "\" length: ", parsed.length());
}

istio::workload::Address MakeWorkload(const WorkloadOptions& options) {
  istio::workload::Address address;
  istio::workload::Workload& workload = *address.mutable_workload();
  workload.set_uid(options.uid());
  workload.set_name(options.name);
  workload.set_namespace_(options.name_space);
  workload.set_service_account(options.service_account);
  workload.set_workload_name(options.service_account);
  workload.set_canonical_name(options.service_account);
  workload.set_canonical_revision("latest");
  workload.set_network(options.network);
  workload.set_node(options.node);
  *workload.mutable_locality() = options.locality;
  for (const std::string& ip : options.ips) workload.add_addresses(Bytes(ip));
  workload.set_tunnel_protocol(options.hbone ? istio::workload::HBONE : istio::workload::NONE);
  workload.set_status(options.healthy ? istio::workload::HEALTHY : istio::workload::UNHEALTHY);
  workload.mutable_capacity()->set_value(options.capacity);
  for (const auto& [service, ports] : options.services) {
    auto& list = (*workload.mutable_services())[service];
    for (const auto& [service_port, target_port] : ports) {
      auto& port = *list.add_ports();
      port.set_service_port(service_port);
      port.set_target_port(target_port);
    }
  }
  for (const std::string& policy : options.policies) workload.add_authorization_policies(policy);
  return address;
}

istio::workload::Address MakeService(const ServiceOptions& options) {
  istio::workload::Address address;
  istio::workload::Service& service = *address.mutable_service();
  service.set_name(options.name);
  service.set_namespace_(options.name_space);
  service.set_hostname(options.hostname());
  for (const std::string& vip : options.vips) {
    const io::IpPrefix prefix = io::IpPrefix::Parse(vip).value();
    auto& entry = *service.add_addresses();
    entry.set_network(options.network);
    entry.set_address(Bytes(prefix.address()));
    entry.set_length(prefix.length());
  }
  for (const auto& [service_port, target_port] : options.ports) {
    auto& port = *service.add_ports();
    port.set_service_port(service_port);
    port.set_target_port(target_port);
  }
  *service.mutable_load_balancing() = options.load_balancing;
  return address;
}

istio::security::Authorization MakePolicy(std::string_view text) {
  istio::security::Authorization policy;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &policy)) << text;
  return policy;
}

std::string NameOf(const istio::security::Authorization& policy) {
  return absl::StrCat(policy.namespace_(), "/", policy.name());
}

World& World::Add(const WorkloadOptions& options) {
  const absl::Status status = builder_.PutAddress(options.uid(), MakeWorkload(options));
  EXPECT_TRUE(status.ok()) << status;
  return *this;
}

World& World::Add(const ServiceOptions& options) {
  const absl::Status status = builder_.PutAddress(options.id(), MakeService(options));
  EXPECT_TRUE(status.ok()) << status;
  return *this;
}

World& World::AddPolicy(std::string_view text) {
  const istio::security::Authorization policy = MakePolicy(text);
  const absl::Status status = builder_.PutPolicy(NameOf(policy), policy);
  EXPECT_TRUE(status.ok()) << status;
  return *this;
}

World& World::Ready() {
  builder_.SetReceived(ResourceKind::kAddress);
  builder_.SetReceived(ResourceKind::kAuthorization);
  return *this;
}

}  // namespace heddle::agent::testing
