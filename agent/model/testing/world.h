#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/state_builder.h"

// Small builders of states for tests; resources go through the same decoding as those of the control plane.
namespace heddle::agent::testing {

// The wire bytes of an address.
std::string Bytes(std::string_view ip);
// `address: "..." length: n` in the text format, for a block such as "10.0.0.0/8".
std::string TextPrefix(std::string_view prefix);

struct WorkloadOptions {
  std::string name = "web-1";
  std::string name_space = "default";
  std::string service_account = "web";
  std::vector<std::string> ips = {"10.0.0.1"};
  bool hbone = true;
  bool healthy = true;
  uint32_t capacity = 1;
  std::string network = "";
  std::string node = "";
  istio::workload::Locality locality = {};
  // Service "namespace/hostname" -> {service port, target port}.
  std::vector<std::pair<std::string, std::vector<std::pair<uint32_t, uint32_t>>>> services = {};
  std::vector<std::string> policies = {};

  std::string uid() const { return "Kubernetes//Pod/" + name_space + "/" + name; }
};
istio::workload::Address MakeWorkload(const WorkloadOptions& options);

struct ServiceOptions {
  std::string name = "web";
  std::string name_space = "default";
  std::vector<std::string> vips = {"10.96.0.1"};  // Addresses or blocks.
  std::vector<std::pair<uint32_t, uint32_t>> ports = {{80, 8080}};
  istio::workload::LoadBalancing load_balancing = {};
  std::string network = "";

  std::string hostname() const { return name + "." + name_space + ".svc.cluster.local"; }
  std::string id() const { return name_space + "/" + hostname(); }
};
istio::workload::Address MakeService(const ServiceOptions& options);

// From the text format, e.g. R"(name: "p" namespace: "default" action: DENY rules {})".
istio::security::Authorization MakePolicy(std::string_view text);
std::string NameOf(const istio::security::Authorization& policy);

// Builds one State; every resource must be accepted.
class World {
 public:
  World& Add(const WorkloadOptions& options);
  World& Add(const ServiceOptions& options);
  World& AddPolicy(std::string_view text);
  // Marks Address and Authorization as received.
  World& Ready();
  StateRef Build() { return builder_.Publish(); }
  StateBuilder& builder() { return builder_; }

 private:
  StateBuilder builder_;
};

}  // namespace heddle::agent::testing
