#include "agent/model/state_builder.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/model/testing/world.h"

namespace heddle::agent {
namespace {

using testing::ServiceOptions;
using testing::WorkloadOptions;
using testing::World;

io::IpAddress Ip(std::string_view text) { return *io::IpAddress::Parse(text); }

std::string FoundPod(const State& state, std::string_view ip, std::string_view network = "") {
  const WorkloadRef found = state.FindWorkload(network, Ip(ip));
  return found == nullptr ? "" : found->name;
}

std::string FoundService(const State& state, std::string_view ip, std::string_view client_namespace = "default") {
  const ServiceRef found = state.FindService("", Ip(ip), client_namespace);
  return found == nullptr ? "" : found->id.ToString();
}

TEST(StateBuilder, FindsWorkloadsByEachAddressOnTheirNetworkOnly) {
  World world;
  world.Add(WorkloadOptions{.ips = {"10.0.0.1", "fd00::1"}, .network = "east"});
  const StateRef state = world.Build();
  EXPECT_EQ(FoundPod(*state, "10.0.0.1", "east"), "web-1");
  EXPECT_EQ(FoundPod(*state, "::ffff:10.0.0.1", "east"), "web-1");
  EXPECT_EQ(FoundPod(*state, "fd00::1", "east"), "web-1");
  EXPECT_EQ(FoundPod(*state, "10.0.0.1", "west"), "");
}

TEST(StateBuilder, PublishedStateStaysAsItWas) {
  World world;
  world.Add(WorkloadOptions{});
  const StateRef before = world.Build();
  world.Add(WorkloadOptions{.ips = {"10.0.0.2"}});
  world.Add(WorkloadOptions{.name = "web-2", .ips = {"10.0.0.3"}});
  const StateRef after = world.Build();
  world.builder().RemoveAddress("Kubernetes//Pod/default/web-1");
  EXPECT_EQ(FoundPod(*before, "10.0.0.1"), "web-1");
  EXPECT_EQ(FoundPod(*before, "10.0.0.2"), "");
  EXPECT_EQ(FoundPod(*after, "10.0.0.1"), "");
  EXPECT_EQ(FoundPod(*after, "10.0.0.2"), "web-1");
  EXPECT_EQ(FoundPod(*after, "10.0.0.3"), "web-2");
  EXPECT_GT(after->generation(), before->generation());
}

TEST(StateBuilder, KeepsAReusedAddressWhenItsOldOwnerGoes) {
  World world;
  world.Add(WorkloadOptions{.name = "old"}).Add(WorkloadOptions{.name = "new"});
  world.builder().RemoveAddress("Kubernetes//Pod/default/old");
  EXPECT_EQ(FoundPod(*world.Build(), "10.0.0.1"), "new");
}

TEST(StateBuilder, PrefersPodsThenHboneBehindOneAddress) {
  World world;
  istio::workload::Address entry = testing::MakeWorkload({.name = "entry"});
  entry.mutable_workload()->set_uid("Kubernetes/networking.istio.io/WorkloadEntry/default/entry");
  EXPECT_TRUE(world.builder().PutAddress(entry.workload().uid(), entry).ok());
  world.Add(WorkloadOptions{.name = "plain", .hbone = false});
  EXPECT_EQ(FoundPod(*world.Build(), "10.0.0.1"), "plain");
  world.Add(WorkloadOptions{.name = "hbone"});
  EXPECT_EQ(FoundPod(*world.Build(), "10.0.0.1"), "hbone");
}

TEST(StateBuilder, DoesNotFindHostNetworkPodsByAddress) {
  World world;
  istio::workload::Address address = testing::MakeWorkload({});
  address.mutable_workload()->set_network_mode(istio::workload::HOST_NETWORK);
  EXPECT_TRUE(world.builder().PutAddress(address.workload().uid(), address).ok());
  const StateRef state = world.Build();
  EXPECT_EQ(FoundPod(*state, "10.0.0.1"), "");
  EXPECT_NE(state->FindWorkload(WorkloadUid("Kubernetes//Pod/default/web-1")), nullptr);
}

TEST(StateBuilder, JoinsEndpointsAndServicesInEitherOrder) {
  const ServiceOptions service;
  const WorkloadOptions pod{.services = {{service.id(), {{80, 8080}}}}};
  for (const bool workload_first : {true, false}) {
    World world;
    if (workload_first) world.Add(pod);
    world.Add(service);
    if (!workload_first) world.Add(pod);
    const StateRef state = world.Build();
    ASSERT_NE(state->FindService(ServiceName(service.id())), nullptr);
    const auto& endpoints = state->FindEndpoints(ServiceName(service.id()));
    ASSERT_EQ(endpoints.size(), 1u);
    EXPECT_EQ(endpoints[0].workload->name, "web-1");
    EXPECT_EQ(endpoints[0].membership->ports, (std::vector<PortMapping>{{80, 8080}}));
  }
}

TEST(StateBuilder, DropsEndpointsOfRemovedAndRelabelledWorkloads) {
  const ServiceName service("default/web.default.svc.cluster.local");
  World world;
  world.Add(WorkloadOptions{.services = {{service.ToString(), {{80, 8080}}}}});
  world.Add(WorkloadOptions{.name = "web-2", .ips = {"10.0.0.2"}, .services = {{service.ToString(), {{80, 8080}}}}});
  world.Add(WorkloadOptions{});  // No service any more.
  EXPECT_EQ(world.Build()->FindEndpoints(service).size(), 1u);
  world.builder().RemoveAddress("Kubernetes//Pod/default/web-2");
  EXPECT_TRUE(world.Build()->FindEndpoints(service).empty());
}

TEST(StateBuilder, FindsServicesByAddressThenByLongestBlock) {
  World world;
  world.Add(ServiceOptions{.name = "host", .vips = {"10.96.0.1", "fd00:96::1"}})
      .Add(ServiceOptions{.name = "wide", .vips = {"10.0.0.0/8"}})
      .Add(ServiceOptions{.name = "narrow", .vips = {"10.96.0.0/16", "fd00:96::/64"}})
      .Add(ServiceOptions{.name = "mine", .name_space = "shop", .vips = {"10.0.0.0/8"}});
  const StateRef state = world.Build();
  EXPECT_EQ(FoundService(*state, "10.96.0.1"), "default/host.default.svc.cluster.local");
  EXPECT_EQ(FoundService(*state, "10.96.0.2"), "default/narrow.default.svc.cluster.local");
  EXPECT_EQ(FoundService(*state, "10.97.0.2"), "default/wide.default.svc.cluster.local");
  EXPECT_EQ(FoundService(*state, "10.96.0.2", "shop"), "shop/mine.shop.svc.cluster.local") << "own namespace first";
  EXPECT_EQ(FoundService(*state, "fd00:96::1"), "default/host.default.svc.cluster.local");
  EXPECT_EQ(FoundService(*state, "fd00:96::2"), "default/narrow.default.svc.cluster.local");
  EXPECT_EQ(FoundService(*state, "11.0.0.1"), "");
  world.builder().RemoveAddress("default/narrow.default.svc.cluster.local");
  EXPECT_EQ(FoundService(*world.Build(), "10.96.0.2"), "default/wide.default.svc.cluster.local");
}

TEST(StateBuilder, HidesNamespaceServicesFromOthersAndPrefersCanonicalOnes) {
  World world;
  const auto put = [&world](std::string_view name_space, bool hidden, bool canonical) {
    auto message = testing::MakeService({.name_space = std::string(name_space)});
    auto& service = *message.mutable_service();
    service.set_hostname("web.example");
    service.set_canonical(canonical);
    if (hidden) service.set_visibility(istio::workload::Service::NAMESPACE);
    EXPECT_TRUE(world.builder().PutAddress(absl::StrCat(service.namespace_(), "/web.example"), message).ok());
  };
  put("a", false, false);
  put("b", true, true);
  put("c", false, true);
  const StateRef state = world.Build();
  EXPECT_EQ(FoundService(*state, "10.96.0.1", "x"), "c/web.example");
  EXPECT_EQ(FoundService(*state, "10.96.0.1", "a"), "a/web.example");
  EXPECT_EQ(FoundService(*state, "10.96.0.1", "b"), "b/web.example");
  EXPECT_EQ(state->FindServiceByHostname("web.example", "x")->name_space, "c");
  EXPECT_EQ(state->FindServiceByHostname("web.example", "a")->name_space, "a");
  EXPECT_EQ(state->FindServiceByHostname("other.example", "a"), nullptr);
}

TEST(StateBuilder, MovesPoliciesBetweenScopes) {
  World world;
  world.AddPolicy("name: 'p' namespace: 'default' scope: NAMESPACE");
  EXPECT_TRUE(world.Build()->policy_index().HasAllow("default"));
  world.AddPolicy("name: 'p' namespace: 'default' scope: GLOBAL");
  const StateRef state = world.Build();
  EXPECT_FALSE(state->policy_index().HasAllow("default"));
  EXPECT_TRUE(state->policy_index().HasAllow(""));
  world.AddPolicy("name: 'p' namespace: 'default' scope: WORKLOAD_SELECTOR");
  EXPECT_FALSE(world.Build()->policy_index().HasAllow(""));
  EXPECT_NE(world.Build()->FindPolicy(PolicyName("default/p")), nullptr);
  world.builder().RemovePolicy("default/p");
  EXPECT_EQ(world.Build()->FindPolicy(PolicyName("default/p")), nullptr);
}

TEST(StateBuilder, UndecodablePolicyDeniesTheNamespaceInItsNameUntilItIsRemoved) {
  World world;
  world.builder().RefusePolicy("default/p", "it is garbage");
  const StateRef state = world.Build();
  ASSERT_EQ(state->policy_index().Refused("default").size(), 1u);
  EXPECT_EQ(state->policy_index().Refused("default")[0]->refusal, "it is garbage");
  world.builder().RemovePolicy("default/p");
  EXPECT_TRUE(world.Build()->policy_index().Refused("default").empty());
}

TEST(StateBuilder, ReplacesAStandInByTheFirstGoodVersion) {
  World world;
  world.builder().RefusePolicy("default/p", "it is garbage");
  world.AddPolicy("name: 'p' namespace: 'default' scope: NAMESPACE");
  const StateRef state = world.Build();
  EXPECT_TRUE(state->policy_index().Refused("default").empty());
  EXPECT_TRUE(state->policy_index().HasAllow("default"));
}

TEST(StateBuilder, IsReadyWhenAddressesAndPoliciesHaveArrived) {
  StateBuilder builder;
  EXPECT_FALSE(builder.Publish()->ready());
  builder.SetReceived(ResourceKind::kAddress);
  builder.SetReceived(ResourceKind::kNodePod);
  EXPECT_FALSE(builder.Publish()->ready());
  builder.SetReceived(ResourceKind::kAuthorization);
  EXPECT_TRUE(builder.Publish()->ready());
}

TEST(StateBuilder, HoldsNodePodsByUid) {
  StateBuilder builder;
  heddle::node::v1::NodePod message;
  message.set_uid("1234");
  message.set_namespace_("default");
  message.set_service_account("web");
  message.set_enrolled(true);
  message.add_pod_ips(testing::Bytes("fd00::1"));
  message.mutable_interception()->add_excluded_outbound_ports(3306);
  EXPECT_TRUE(builder.PutNodePod("1234", message).ok());
  const NodePodRef pod = builder.Publish()->FindNodePod(PodUid("1234"));
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->identity.ToString(), "spiffe://cluster.local/ns/default/sa/web");
  EXPECT_THAT(pod->interception.excluded_outbound_ports, ::testing::ElementsAre(3306));
  EXPECT_FALSE(builder.PutNodePod("other", message).ok());
  builder.RemoveNodePod("1234");
  EXPECT_EQ(builder.Publish()->FindNodePod(PodUid("1234")), nullptr);
}

TEST(StateBuilder, KeepsTheLastGoodVersionOfARefusedWorkload) {
  World world;
  world.Add(WorkloadOptions{});
  istio::workload::Address bad = testing::MakeWorkload({.ips = {"10.0.0.2"}});
  bad.mutable_workload()->add_addresses("abc");
  const absl::Status status = world.builder().PutAddress(bad.workload().uid(), bad);
  EXPECT_EQ(status.message(), "address has 3 bytes; an IP address has 4 or 16");
  EXPECT_EQ(FoundPod(*world.Build(), "10.0.0.1"), "web-1");
}

TEST(StateBuilder, SharesUntouchedEndpointsAndSurvivesManyBatches) {
  World world;
  for (int i = 0; i < 2000; ++i) {
    world.Add(WorkloadOptions{.name = absl::StrCat("web-", i),
                              .ips = {absl::StrCat("10.0.", i / 250, ".", i % 250 + 1)},
                              .services = {{"default/web.default.svc.cluster.local", {{80, 8080}}}}});
    if (i % 100 == 0) world.Build();
  }
  const StateRef full = world.Build();
  for (int i = 0; i < 2000; i += 2) {
    world.builder().RemoveAddress(absl::StrCat("Kubernetes//Pod/default/web-", i));
  }
  const StateRef half = world.Build();
  EXPECT_EQ(full->FindEndpoints(ServiceName("default/web.default.svc.cluster.local")).size(), 2000u);
  EXPECT_EQ(half->FindEndpoints(ServiceName("default/web.default.svc.cluster.local")).size(), 1000u);
  EXPECT_EQ(half->workloads().size(), 1000u);
  EXPECT_EQ(FoundPod(*full, "10.0.0.1"), "web-0");
  EXPECT_EQ(FoundPod(*half, "10.0.0.1"), "");
  EXPECT_EQ(FoundPod(*half, "10.0.0.2"), "web-1");
}

}  // namespace
}  // namespace heddle::agent
