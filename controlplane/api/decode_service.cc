#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controlplane/api/decode_kinds.h"

namespace heddle::controlplane::api {
namespace {

bool IsTcp(TreeReader& port) {
  const std::string protocol = port.String("protocol");
  return protocol.empty() || protocol == "TCP";
}

// targetPort is a number or a container port's name; absent means the same number.
std::variant<uint16_t, std::string> DecodeTargetPort(TreeReader& reader, uint16_t same) {
  const Tree* tree = reader.Find("targetPort");
  if (tree == nullptr) return same;
  const std::string text = reader.Text(*tree, reader.PathOf("targetPort"));
  int number = 0;
  if (tree->kind == Tree::Kind::kText || !absl::SimpleAtoi(text, &number)) return text;
  if (number == 0) return same;
  return DecodePort(reader, "targetPort");
}

void DecodeClusterIps(TreeReader& spec, Service& service) {
  std::vector<std::string> texts = spec.Strings("clusterIPs");
  if (const std::string single = spec.String("clusterIP"); texts.empty() && !single.empty())
    texts.push_back(single);
  for (const std::string& text : texts) {
    if (text == "None" || text.empty()) continue;
    const std::optional<io::IpAddress> address = io::IpAddress::Parse(text);
    if (!address.has_value()) {
      spec.Fail(spec.line(), "spec.clusterIPs has an entry that is not an IP address");
      return;
    }
    service.addresses.push_back(*address);
  }
  if (service.addresses.size() > kMaxAddressesPerObject)
    spec.Fail(spec.line(), "spec.clusterIPs has too many entries");
}

Endpoint DecodeEndpoint(TreeReader& reader) {
  Endpoint endpoint{.addresses = DecodeAddresses(reader, "addresses"),
                    .node_name = reader.String("nodeName"),
                    .zone = reader.String("zone")};
  // Absent means "consider it ready" (discovery/v1).
  endpoint.ready = reader.Child("conditions").Bool("ready").value_or(true);
  TreeReader target = reader.Child("targetRef");
  if (target.String("kind") == "Pod") endpoint.pod = target.String("name");
  return endpoint;
}

}  // namespace

Service DecodeService(TreeReader& object) {
  Service service{.meta = DecodeMeta(object, true)};
  TreeReader spec = object.Child("spec");
  service.external_name = spec.String("type") == "ExternalName";
  DecodeClusterIps(spec, service);
  service.selector = spec.StringMap("selector");
  for (TreeReader& reader : spec.Children("ports")) {
    if (!IsTcp(reader)) continue;
    ServicePort port{.name = reader.String("name"), .port = DecodePort(reader, "port")};
    port.target = DecodeTargetPort(reader, port.port);
    port.app_protocol = reader.String("appProtocol");
    service.ports.push_back(std::move(port));
  }
  service.publish_not_ready = spec.Bool("publishNotReadyAddresses").value_or(false);
  service.local_traffic_only = spec.String("internalTrafficPolicy") == "Local";
  service.traffic_distribution = spec.String("trafficDistribution");
  for (const std::string& family : spec.Strings("ipFamilies")) {
    (family == "IPv6" ? service.ipv6 : service.ipv4) = true;
  }
  return service;
}

EndpointSlice DecodeEndpointSlice(TreeReader& object) {
  EndpointSlice slice{.meta = DecodeMeta(object, true)};
  slice.service = std::string(slice.meta.Label("kubernetes.io/service-name"));
  for (TreeReader& port : object.Children("ports")) {
    // No number means all ports, which is for consumers other than proxies.
    if (!IsTcp(port) || port.Find("port") == nullptr) continue;
    slice.ports.push_back({port.String("name"), DecodePort(port, "port")});
  }
  if (object.String("addressType") == "FQDN") return slice;
  for (TreeReader& endpoint : object.Children("endpoints"))
    slice.endpoints.push_back(DecodeEndpoint(endpoint));
  slice.endpoints.shrink_to_fit();  // Held for good, by the ten thousand.
  if (slice.endpoints.size() > kMaxEndpointsPerSlice)
    object.Fail(object.line(), "the slice has too many endpoints");
  return slice;
}

}  // namespace heddle::controlplane::api
