#include "agent/model/decode.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/model/testing/world.h"

namespace heddle::agent {
namespace {

using ::testing::HasSubstr;

template <typename Message>
Message FromText(std::string_view text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &message)) << text;
  return message;
}

struct Refused {
  std::string text;
  std::string_view sentence;
};

TEST(DecodeWorkload, RefusesWhatItDoesNotUnderstandWithASentence) {
  const Refused cases[] = {
      {"", "the workload has no uid"},
      {"uid: 'u' addresses: 'abc'", "address has 3 bytes; an IP address has 4 or 16"},
      {"uid: 'u' tunnel_protocol: LEGACY_ISTIO_MTLS", "tunnel protocol LEGACY_ISTIO_MTLS is not supported"},
      {"uid: 'u' tunnel_protocol: 7", "tunnel protocol 7 is unknown"},
      {"uid: 'u' workload_type: 9", "workload type 9 is unknown"},
      {"uid: 'u' status: 2", "workload status 2 is unknown"},
      {"uid: 'u' network_mode: 2", "network mode 2 is unknown"},
      {"uid: 'u' namespace: 'a/b'", "\"a/b\" cannot be a namespace or service account"},
      {"uid: 'u' namespace: 'a' trust_domain: 'UPPER'", "\"UPPER\" is not a trust domain"},
      {"uid: 'u' services { key: 's' value { ports { service_port: 0 } } }", "service port 0 is not a port"},
      {"uid: 'u' services { key: 's' value { ports { service_port: 1 target_port: 65536 } } }",
       "target port 65536 is not"},
      {"uid: 'u' waypoint { hbone_mtls_port: 15008 }", "waypoint has no destination"},
      {"uid: 'u' waypoint { hostname { hostname: 'h' } }", "waypoint 0 is not a port"},
      {"uid: 'u' application_tunnel { protocol: 2 }", "application tunnel protocol 2 is unknown"},
  };
  SharedParts shared;
  for (const Refused& test : cases) {
    const auto result = DecodeWorkload(FromText<istio::workload::Workload>(test.text), shared);
    ASSERT_FALSE(result.ok()) << test.text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(std::string(test.sentence))) << test.text;
  }
}

TEST(DecodeWorkload, FillsInTheMeshsDefaults) {
  SharedParts shared;
  const auto workload = DecodeWorkload(FromText<istio::workload::Workload>("uid: 'u' namespace: 'shop'"), shared);
  ASSERT_TRUE(workload.ok());
  EXPECT_EQ((*workload)->identity->ToString(), "spiffe://cluster.local/ns/shop/sa/default");
  EXPECT_EQ((*workload)->cluster_id, "Kubernetes");
  EXPECT_EQ((*workload)->capacity, 1u);
  const auto nobody = DecodeWorkload(FromText<istio::workload::Workload>("uid: 'u'"), shared);
  EXPECT_FALSE((*nobody)->identity.has_value());
}

TEST(DecodeService, RefusesWhatItDoesNotUnderstandWithASentence) {
  const Refused cases[] = {
      {"", "the service has no hostname"},
      {"hostname: 'h' addresses { address: '12345' }", "service address has 5 bytes"},
      {"hostname: 'h' addresses { address: '1234' length: 33 }",
       "service address 49.50.51.52 cannot have a prefix of 33 bits"},
      {"hostname: 'h' ports { service_port: 70000 }", "service port 70000 is not a port"},
      {"hostname: 'h' load_balancing { mode: 9 }", "load balancing mode 9 is unknown"},
      {"hostname: 'h' load_balancing { health_policy: 9 }", "health policy 9 is unknown"},
      {"hostname: 'h' load_balancing { routing_preference: UNSPECIFIED_SCOPE }",
       "routing preference 0 is unknown"},
      {"hostname: 'h' ip_families: 4", "IP families 4 is unknown"},
  };
  for (const Refused& test : cases) {
    const auto result = DecodeService(FromText<istio::workload::Service>(test.text));
    ASSERT_FALSE(result.ok()) << test.text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(std::string(test.sentence))) << test.text;
  }
}

TEST(DecodeService, TakesAnUnknownVisibilityAsPublicAndSkipsNamesThatAreNoIdentities) {
  const auto service = DecodeService(FromText<istio::workload::Service>(
      "hostname: 'h' visibility: 9 subject_alt_names: 'dns.example' subject_alt_names: 'spiffe://td/ns/a/sa/b'"));
  ASSERT_TRUE(service.ok());
  EXPECT_FALSE(service->visible_in_namespace_only);
  ASSERT_EQ(service->identities.size(), 1u);
  EXPECT_EQ(service->identities[0].ToString(), "spiffe://td/ns/a/sa/b");
}

TEST(DecodePolicy, RefusesWhatZtunnelDrops) {
  const auto in_match = [](std::string_view match) {
    return "name: 'p' namespace: 'n' rules { clauses { matches { " + std::string(match) + " } } }";
  };
  const Refused cases[] = {
      {"name: 'p'", "the policy has no namespace or no name"},
      {"name: 'p' namespace: 'n' scope: 3", "scope 3 is unknown"},
      {"name: 'p' namespace: 'n' action: 2", "action 2 is unknown"},
      {in_match("principals {}"), "principals has an entry of no known kind"},
      {in_match("not_namespaces { prefix: '' }"), "not_namespaces has an empty string"},
      {in_match("source_ips { address: 'abc' length: 8 }"), "source_ips has 3 bytes"},
      {in_match("not_source_ips { address: '1234' length: 33 }"), "cannot have a prefix of 33 bits"},
      {in_match("destination_ports: 65536"), "destination_ports 65536 is not a port"},
      {in_match("not_destination_ports: 0"), "not_destination_ports 0 is not a port"},
      {in_match("service_accounts { namespace: 'n' }"), "service_accounts has an entry without namespace or name"},
  };
  for (const Refused& test : cases) {
    const auto result = DecodePolicy(FromText<istio::security::Authorization>(test.text));
    ASSERT_FALSE(result.ok()) << test.text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(std::string(test.sentence))) << test.text;
  }
}

TEST(DecodePolicy, RefusesAttributesOfANewerControlPlane) {
  istio::security::Authorization message = FromText<istio::security::Authorization>("name: 'p' namespace: 'n'");
  auto& match = *message.add_rules()->add_clauses()->add_matches();
  match.add_destination_ports(80);
  match.GetReflection()->MutableUnknownFields(&match)->AddVarint(99, 1);
  EXPECT_FALSE(DecodePolicy(message).ok());
}

TEST(DecodePolicy, ReadsMappedBlocksAsIpv4) {
  istio::security::Authorization message = FromText<istio::security::Authorization>("name: 'p' namespace: 'n'");
  auto& block = *message.add_rules()->add_clauses()->add_matches()->add_source_ips();
  block.set_address(std::string(10, '\0') + "\xff\xff\x0a" + std::string(3, '\0'));
  block.set_length(104);
  const auto policy = DecodePolicy(message);
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->rules[0].clauses[0].matches[0].source_ips[0].ToString(), "10.0.0.0/8");
  block.set_length(90);
  EXPECT_FALSE(DecodePolicy(message).ok());
}

TEST(DecodeNodePod, TakesWhatItDoesNotKnowOfTheNamespaceForNothingSaid) {
  const std::pair<const char*, NamespaceMode> cases[] = {
      {"", NamespaceMode::kUnknown},
      {"namespace_enrollment: NAMESPACE_ENROLLED", NamespaceMode::kEnrolled},
      {"namespace_enrollment: NAMESPACE_NONE", NamespaceMode::kNone},
      {"namespace_enrollment: 7", NamespaceMode::kUnknown},
  };
  for (const auto& [text, mode] : cases) {
    const auto pod = DecodeNodePod(FromText<heddle::node::v1::NodePod>(
        std::string("uid: 'u' namespace: 'n' service_account: 's' trust_domain: 'd' ") + text));
    ASSERT_TRUE(pod.ok()) << pod.status();
    EXPECT_EQ(pod->namespace_mode, mode) << text;
  }
}

TEST(DecodeNodePod, RefusesWhatItDoesNotUnderstandWithASentence) {
  const Refused cases[] = {
      {"namespace: 'n'", "the pod has no uid"},
      {"uid: 'u'", "cannot be a namespace or service account"},
      {"uid: 'u' namespace: 'n' pod_ips: '1'", "pod address has 1 bytes"},
      {"uid: 'u' namespace: 'n' interception { excluded_inbound_ports: 0 }", "excluded port 0 is not a port"},
      {"uid: 'u' namespace: 'n' interception { excluded_outbound_cidrs { address: '1234' length: 40 } }", "40 bits"},
      {"uid: 'u' namespace: 'n' interception { excluded_inbound_cidrs { address: '1' length: 8 } }", "excluded block"},
      {"uid: 'u' namespace: 'n' interception { fail_mode: 2 }", "fail mode 2 is unknown"},
  };
  for (const Refused& test : cases) {
    const auto result = DecodeNodePod(FromText<heddle::node::v1::NodePod>(test.text));
    ASSERT_FALSE(result.ok()) << test.text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(std::string(test.sentence))) << test.text;
  }
}

}  // namespace
}  // namespace heddle::agent
