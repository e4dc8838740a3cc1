#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/api/object_meta.h"
#include "controlplane/api/shared_text.h"
#include "lib/io/address.h"

// Kubernetes objects as far as a mesh reads them: plain values that compare. Fields that are not
// here are not looked at.
namespace heddle::controlplane::api {

struct Namespace {
  ObjectMeta meta;
  bool operator==(const Namespace&) const = default;
};

// Read for its labels: where it stands (topology.kubernetes.io/region and zone).
struct Node {
  ObjectMeta meta;
  bool operator==(const Node&) const = default;
};

struct ServiceAccount {
  ObjectMeta meta;
  bool operator==(const ServiceAccount&) const = default;
};

struct ContainerPort {
  std::string name;
  uint16_t port = 0;
  bool operator==(const ContainerPort&) const = default;
};

struct Pod {
  ObjectMeta meta;
  SharedText service_account = "default";
  SharedText node_name;  // Empty: not yet bound.
  bool host_network = false;
  bool terminal = false;  // Succeeded or Failed: it will never run again.
  // The condition Ready. A pod without any conditions, as a person writes it, counts as ready.
  bool ready = true;
  std::vector<io::IpAddress> ips;
  std::vector<ContainerPort> named_ports;  // TCP ports that have a name.
  bool operator==(const Pod&) const = default;
};

struct ServicePort {
  std::string name;
  uint16_t port = 0;
  std::variant<uint16_t, std::string> target =
      uint16_t{0};  // A number, or a container port's name.
  std::string app_protocol;
  bool operator==(const ServicePort&) const = default;
};

struct Service {
  ObjectMeta meta;
  bool external_name = false;            // An alias in DNS: nothing to route to.
  std::vector<io::IpAddress> addresses;  // Empty: headless.
  Labels selector;
  std::vector<ServicePort> ports;  // TCP only.
  bool publish_not_ready = false;
  bool local_traffic_only = false;  // internalTrafficPolicy: Local
  std::string traffic_distribution;
  bool ipv4 = false;  // spec.ipFamilies
  bool ipv6 = false;
  bool operator==(const Service&) const = default;
};

struct EndpointPort {
  std::string name;
  uint16_t port = 0;
  bool operator==(const EndpointPort&) const = default;
};

struct Endpoint {
  std::vector<io::IpAddress> addresses;
  bool ready = true;
  std::string pod;  // targetRef, if it names a Pod; it is in the slice's namespace.
  SharedText node_name;
  SharedText zone;
  bool operator==(const Endpoint&) const = default;
};

struct EndpointSlice {
  ObjectMeta meta;
  std::string service;              // Label kubernetes.io/service-name.
  std::vector<EndpointPort> ports;  // TCP only.
  std::vector<Endpoint> endpoints;
  bool operator==(const EndpointSlice&) const = default;
};

// The ConfigMap with this name in Heddle's own namespace says that the mesh is to leave the cluster
// (decision 014). Other ConfigMaps are not read.
inline constexpr char kRemovalName[] = "heddle-removal";
struct Removal {
  ObjectMeta meta;
  std::map<std::string, std::string> data;
  bool operator==(const Removal&) const = default;
};

}  // namespace heddle::controlplane::api
