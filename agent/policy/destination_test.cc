#include "agent/policy/destination.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "agent/model/testing/world.h"

namespace heddle::agent {
namespace {

using ::testing::HasSubstr;
using testing::ServiceOptions;
using testing::World;
using testing::WorkloadOptions;

const std::string kService = ServiceOptions().id();

// Test worlds have this client; its settings matter for localities.
WorkloadOptions Client() { return {.name = "client", .service_account = "client", .ips = {"10.0.9.9", "fd00:9::9"}}; }

NextHop Route(const State& state, std::string_view destination, uint64_t seed = 1) {
  const WorkloadRef source = state.FindWorkload(WorkloadUid(Client().uid()));
  SeededRandom random(seed);
  return FindNextHop(state, *source, *io::SocketAddress::Parse(destination), random);
}

// "hbone <dial> for <target>", "plain <dial>" or "refused: <sentence>".
std::string Text(const NextHop& hop) {
  if (const auto* hbone = std::get_if<HboneHop>(&hop)) {
    return absl::StrCat("hbone ", hbone->dial.ToString(), " for ", hbone->target.ToString());
  }
  if (const auto* plain = std::get_if<PlainHop>(&hop)) return "plain " + plain->dial.ToString();
  return "refused: " + std::get<RefusedHop>(hop).sentence;
}

std::string RouteText(World& world, std::string_view destination) {
  return Text(Route(*world.Add(Client()).Build(), destination));
}

// How often each pod is chosen in `rounds` tries.
std::map<std::string, int> Spread(World& world, std::string_view destination, int rounds = 400) {
  const StateRef state = world.Build();
  const WorkloadRef source = state->FindWorkload(WorkloadUid(Client().uid()));
  SeededRandom random(42);
  std::map<std::string, int> chosen;
  for (int i = 0; i < rounds; ++i) {
    const NextHop hop = FindNextHop(*state, *source, *io::SocketAddress::Parse(destination), random);
    if (const auto* hbone = std::get_if<HboneHop>(&hop)) {
      ++chosen[hbone->workload->name];
    } else {
      ++chosen[Text(hop)];
    }
  }
  return chosen;
}

WorkloadOptions Backend(std::string_view name, std::string_view ip) {
  return {.name = std::string(name), .ips = {std::string(ip)}, .services = {{kService, {{80, 8080}}}}};
}

istio::workload::LoadBalancing Balancing(istio::workload::LoadBalancing::Mode mode,
                                         std::vector<istio::workload::LoadBalancing::Scope> scopes) {
  istio::workload::LoadBalancing balancing;
  balancing.set_mode(mode);
  for (const auto scope : scopes) balancing.add_routing_preference(scope);
  return balancing;
}

istio::workload::Locality Zone(std::string_view region, std::string_view zone) {
  istio::workload::Locality locality;
  locality.set_region(std::string(region));
  locality.set_zone(std::string(zone));
  return locality;
}

TEST(Destination, UnknownAddressesArePlain) {
  World world;
  EXPECT_EQ(RouteText(world, "93.184.216.34:443"), "plain 93.184.216.34:443");
  EXPECT_EQ(RouteText(world, "[2001:db8::1]:443"), "plain [2001:db8::1]:443");
}

TEST(Destination, ServiceAddressGoesThroughATunnelToAnEndpointsTargetPort) {
  World world;
  world.Add(ServiceOptions{}).Add(Backend("web-1", "10.0.0.1")).Add(Client());
  const StateRef state = world.Build();
  const NextHop hop = Route(*state, "10.96.0.1:80");
  EXPECT_EQ(Text(hop), "hbone 10.0.0.1:15008 for 10.0.0.1:8080");
  const auto& hbone = std::get<HboneHop>(hop);
  EXPECT_EQ(hbone.service->id.ToString(), kService);
  EXPECT_TRUE(hbone.Accepts(*tls::SpiffeId::Parse("spiffe://cluster.local/ns/default/sa/web")));
  EXPECT_FALSE(hbone.Accepts(*tls::SpiffeId::Parse("spiffe://cluster.local/ns/default/sa/client")));
}

TEST(Destination, AcceptsTheServicesIdentitiesAsWell) {
  World world;
  auto service = testing::MakeService({});
  service.mutable_service()->add_subject_alt_names("spiffe://cluster.local/ns/x/sa/y");
  EXPECT_TRUE(world.builder().PutAddress(kService, service).ok());
  world.Add(Backend("web-1", "10.0.0.1")).Add(Client());
  const NextHop hop = Route(*world.Build(), "10.96.0.1:80");
  const auto& hbone = std::get<HboneHop>(hop);
  EXPECT_TRUE(hbone.Accepts(*tls::SpiffeId::Parse("spiffe://cluster.local/ns/x/sa/y")));
  EXPECT_EQ(hbone.AcceptedIdentities().size(), 2u);
}

TEST(Destination, PodAddressGoesThroughATunnelToThatPodAndPort) {
  World world;
  world.Add(WorkloadOptions{.ips = {"10.0.0.1", "fd00::1"}});
  EXPECT_EQ(RouteText(world, "10.0.0.1:9000"), "hbone 10.0.0.1:15008 for 10.0.0.1:9000");
  EXPECT_EQ(RouteText(world, "[fd00::1]:9000"), "hbone [fd00::1]:15008 for [fd00::1]:9000");
}

TEST(Destination, EndpointOutsideTheMeshIsPlainAtItsTargetPort) {
  World world;
  WorkloadOptions backend = Backend("web-1", "10.0.0.1");
  backend.hbone = false;
  world.Add(ServiceOptions{}).Add(backend);
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "plain 10.0.0.1:8080");
  EXPECT_EQ(RouteText(world, "10.0.0.1:9000"), "plain 10.0.0.1:9000");
}

TEST(Destination, ServiceWithoutUsableEndpointIsRefusedNotPassedOn) {
  World world;
  world.Add(ServiceOptions{});
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "refused: service " + kService + " has no healthy endpoint for port 80");
  WorkloadOptions sick = Backend("web-1", "10.0.0.1");
  sick.healthy = false;
  world.Add(sick);
  EXPECT_THAT(RouteText(world, "10.96.0.1:80"), HasSubstr("no healthy endpoint"));
  WorkloadOptions idle = Backend("web-1", "10.0.0.1");
  idle.capacity = 0;
  world.Add(idle);
  EXPECT_THAT(RouteText(world, "10.96.0.1:80"), HasSubstr("no healthy endpoint"));
}

TEST(Destination, PortThatTheServiceDoesNotHaveIsRefused) {
  World world;
  world.Add(ServiceOptions{}).Add(Backend("web-1", "10.0.0.1"));
  EXPECT_EQ(RouteText(world, "10.96.0.1:81"), "refused: service " + kService + " has no port 81");
}

TEST(Destination, UnhealthyEndpointsServeWhenTheServiceSaysSo) {
  ServiceOptions service;
  service.load_balancing.set_health_policy(istio::workload::LoadBalancing::ALLOW_ALL);
  WorkloadOptions sick = Backend("web-1", "10.0.0.1");
  sick.healthy = false;
  World world;
  world.Add(service).Add(sick);
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "hbone 10.0.0.1:15008 for 10.0.0.1:8080");
}

TEST(Destination, NamedPortsAreMappedByEachEndpoint) {
  World world;
  WorkloadOptions mapped = Backend("web-1", "10.0.0.1");
  mapped.services[0].second = {{80, 7070}};
  WorkloadOptions unmapped = Backend("web-2", "10.0.0.2");
  unmapped.services[0].second = {};
  world.Add(ServiceOptions{.ports = {{80, 0}}}).Add(mapped).Add(unmapped).Add(Client());
  EXPECT_EQ(Spread(world, "10.96.0.1:80", 50), (std::map<std::string, int>{{"web-1", 50}}));
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "hbone 10.0.0.1:15008 for 10.0.0.1:7070");
}

TEST(Destination, EndpointsWithoutAMappingUseTheServicesTargetPort) {
  World world;
  WorkloadOptions backend = Backend("web-1", "10.0.0.1");
  backend.services[0].second = {};
  world.Add(ServiceOptions{}).Add(backend);
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "hbone 10.0.0.1:15008 for 10.0.0.1:8080");
}

TEST(Destination, SpreadsByCapacity) {
  World world;
  WorkloadOptions big = Backend("big", "10.0.0.2");
  big.capacity = 3;
  world.Add(ServiceOptions{}).Add(Backend("small", "10.0.0.1")).Add(big).Add(Client());
  const auto chosen = Spread(world, "10.96.0.1:80");
  EXPECT_NEAR(chosen.at("small"), 100, 40);
  EXPECT_NEAR(chosen.at("big"), 300, 40);
}

TEST(Destination, SpreadsEvenlyAmongHealthyEndpoints) {
  World world;
  world.Add(ServiceOptions{}).Add(Client());
  for (int i = 1; i <= 20; ++i) {
    WorkloadOptions backend = Backend(absl::StrCat("web-", i), absl::StrCat("10.0.0.", i));
    backend.healthy = i <= 2;  // So few that sampling often gives up and scans.
    world.Add(backend);
  }
  const auto chosen = Spread(world, "10.96.0.1:80");
  EXPECT_EQ(chosen.size(), 2u);
  EXPECT_NEAR(chosen.at("web-1"), 200, 50);
}

TEST(Destination, StrictPreferencesMustAllMatch) {
  using istio::workload::LoadBalancing;
  World world;
  WorkloadOptions client = Client();
  client.node = "n1";
  WorkloadOptions near = Backend("near", "10.0.0.1");
  near.node = "n1";
  WorkloadOptions far = Backend("far", "10.0.0.2");
  far.node = "n2";
  world.Add(ServiceOptions{.load_balancing = Balancing(LoadBalancing::STRICT, {LoadBalancing::NODE})}).Add(client);
  world.Add(far);
  EXPECT_THAT(Spread(world, "10.96.0.1:80", 1).begin()->first, HasSubstr("no healthy endpoint"));
  world.Add(near);
  EXPECT_EQ(Spread(world, "10.96.0.1:80", 50), (std::map<std::string, int>{{"near", 50}}));
}

TEST(Destination, FailoverTakesTheLongestRunOfMatches) {
  using istio::workload::LoadBalancing;
  World world;
  WorkloadOptions client = Client();
  client.locality = Zone("r1", "z1");
  WorkloadOptions same_zone = Backend("same-zone", "10.0.0.1"), same_region = Backend("same-region", "10.0.0.2");
  WorkloadOptions other_region = Backend("other-region", "10.0.0.3");
  same_zone.locality = Zone("r1", "z1");
  same_region.locality = Zone("r1", "z2");
  other_region.locality = Zone("r2", "z1");  // The zone matches by name, but only behind a region that does not.
  const ServiceOptions service{
      .load_balancing = Balancing(LoadBalancing::FAILOVER,
                                  {LoadBalancing::NETWORK, LoadBalancing::REGION, LoadBalancing::ZONE})};
  world.Add(service).Add(client).Add(other_region);
  EXPECT_EQ(Spread(world, "10.96.0.1:80", 20), (std::map<std::string, int>{{"other-region", 20}}));
  world.Add(same_region);
  EXPECT_EQ(Spread(world, "10.96.0.1:80", 20), (std::map<std::string, int>{{"same-region", 20}}));
  world.Add(same_zone);
  EXPECT_EQ(Spread(world, "10.96.0.1:80", 20), (std::map<std::string, int>{{"same-zone", 20}}));
}

TEST(Destination, KeepsTheFamilyThatTheApplicationUsed) {
  World world;
  WorkloadOptions backend = Backend("web-1", "10.0.0.1");
  backend.ips = {"10.0.0.1", "fd00::1"};
  world.Add(ServiceOptions{.vips = {"10.96.0.1", "fd00:96::1"}}).Add(backend);
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "hbone 10.0.0.1:15008 for 10.0.0.1:8080");
  EXPECT_EQ(RouteText(world, "[fd00:96::1]:80"), "hbone [fd00::1]:15008 for [fd00::1]:8080");
}

TEST(Destination, UsesTheOtherFamilyUnlessTheServiceForbidsIt) {
  World world;
  auto service = testing::MakeService({.vips = {"fd00:96::1"}});
  EXPECT_TRUE(world.builder().PutAddress(kService, service).ok());
  world.Add(Backend("web-1", "10.0.0.1"));
  EXPECT_EQ(RouteText(world, "[fd00:96::1]:80"), "hbone 10.0.0.1:15008 for 10.0.0.1:8080");
  service.mutable_service()->set_ip_families(istio::workload::IPV6_ONLY);
  EXPECT_TRUE(world.builder().PutAddress(kService, service).ok());
  EXPECT_THAT(RouteText(world, "[fd00:96::1]:80"), HasSubstr("no healthy endpoint"));
}

TEST(Destination, PassthroughServiceIsPlainToTheOriginalAddress) {
  using istio::workload::LoadBalancing;
  World world;
  world.Add(ServiceOptions{.vips = {"10.96.0.0/16"}, .load_balancing = Balancing(LoadBalancing::PASSTHROUGH, {})});
  EXPECT_EQ(RouteText(world, "10.96.7.7:1234"), "plain 10.96.7.7:1234");
  world.Add(WorkloadOptions{.ips = {"10.96.7.7"}});
  EXPECT_EQ(RouteText(world, "10.96.7.7:1234"), "hbone 10.96.7.7:15008 for 10.96.7.7:1234");
}

TEST(Destination, WaypointsAreRefusedNotBypassed) {
  World world;
  auto service = testing::MakeService({});
  auto& waypoint = *service.mutable_service()->mutable_waypoint();
  waypoint.mutable_hostname()->set_hostname("waypoint.default.svc.cluster.local");
  waypoint.set_hbone_mtls_port(15008);
  EXPECT_TRUE(world.builder().PutAddress(kService, service).ok());
  auto workload = testing::MakeWorkload(Backend("web-1", "10.0.0.1"));
  *workload.mutable_workload()->mutable_waypoint() = waypoint;
  EXPECT_TRUE(world.builder().PutAddress(workload.workload().uid(), workload).ok());
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "refused: service " + kService + " is reached through a waypoint");
  EXPECT_EQ(RouteText(world, "10.0.0.1:80"),
            "refused: workload Kubernetes//Pod/default/web-1 is reached through a waypoint");
}

TEST(Destination, WaypointItselfReachesItsWorkload) {
  World world;
  auto workload = testing::MakeWorkload({});
  auto& waypoint = *workload.mutable_workload()->mutable_waypoint();
  waypoint.mutable_address()->set_address(testing::Bytes(Client().ips[0]));
  waypoint.set_hbone_mtls_port(15008);
  EXPECT_TRUE(world.builder().PutAddress(workload.workload().uid(), workload).ok());
  EXPECT_EQ(RouteText(world, "10.0.0.1:80"), "hbone 10.0.0.1:15008 for 10.0.0.1:80");
}

TEST(Destination, EndpointsOnOtherNetworksAreNeverDialledDirectly) {
  World world;
  WorkloadOptions remote = Backend("remote", "10.0.0.1");
  remote.network = "west";
  world.Add(ServiceOptions{}).Add(remote).Add(Client());
  EXPECT_EQ(RouteText(world, "10.96.0.1:80"), "refused: service " + kService + " has endpoints on other networks only");
  EXPECT_EQ(RouteText(world, "10.0.0.1:80"), "plain 10.0.0.1:80") << "somebody else's 10.0.0.1";
  world.Add(Backend("local", "10.0.0.2"));
  EXPECT_EQ(Spread(world, "10.96.0.1:80", 30), (std::map<std::string, int>{{"local", 30}}));
}

TEST(Destination, HboneWorkloadWithoutAnyIdentityIsRefused) {
  World world;
  auto workload = testing::MakeWorkload({});
  workload.mutable_workload()->clear_namespace_();
  EXPECT_TRUE(world.builder().PutAddress(workload.workload().uid(), workload).ok());
  EXPECT_THAT(RouteText(world, "10.0.0.1:80"), HasSubstr("has no identity"));
}

}  // namespace
}  // namespace heddle::agent
