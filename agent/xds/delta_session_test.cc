#include "agent/xds/delta_session.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/model/testing/world.h"
#include "agent/xds/state_store.h"

namespace heddle::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const std::vector<ResourceKind> kKinds(std::begin(kAllResourceKinds), std::end(kAllResourceKinds));

// A response under construction.
struct Pushed {
  DeltaSession::Response message;

  explicit Pushed(ResourceKind kind, std::string_view nonce = "n1") {
    message.set_type_url(std::string(TypeUrl(kind)));
    message.set_nonce(std::string(nonce));
  }
  Pushed& Add(std::string_view name, std::string_view version, std::string value) {
    auto& resource = *message.add_resources();
    resource.set_name(std::string(name));
    resource.set_version(std::string(version));
    resource.mutable_resource()->set_type_url(message.type_url());
    resource.mutable_resource()->set_value(std::move(value));
    return *this;
  }
  Pushed& AddPod(const testing::WorkloadOptions& pod, std::string_view version = "v1") {
    return Add(pod.uid(), version, testing::MakeWorkload(pod).SerializeAsString());
  }
  Pushed& AddPolicy(std::string_view text, std::string_view version = "v1") {
    const auto policy = testing::MakePolicy(text);
    return Add(testing::NameOf(policy), version, policy.SerializeAsString());
  }
  Pushed& Remove(std::string_view name) {
    message.add_removed_resources(std::string(name));
    return *this;
  }
};

struct Session {
  StateBuilder builder;
  DeltaSession session{
      builder,
      {.id = "ztunnel~10.0.0.1~a.b~b.svc.cluster.local", .metadata = {{"NODE_NAME", "n1"}}},
      kKinds};

  DeltaSession::Outcome Handle(const Pushed& pushed) { return session.Handle(pushed.message); }
  std::vector<std::pair<std::string, std::string>> Versions(ResourceKind kind) {
    const auto request = session.Open()[static_cast<size_t>(kind)];
    return {request.initial_resource_versions().begin(), request.initial_resource_versions().end()};
  }
};

const std::string kGoodPolicy = "name: 'p' namespace: 'default' scope: NAMESPACE";
const std::string kBadPolicy =
    "name: 'p' namespace: 'default' scope: NAMESPACE rules { clauses { matches { "
    "destination_ports: 70000 } } }";

TEST(DeltaSession, HoldsTheLastWholeResponseWhileTheNextIsApplied) {
  Session test;
  test.Handle(Pushed(ResourceKind::kAddress).AddPod({.name = "a"}));
  const HeldResources before = test.session.held();  // As the thread that writes it to disk has it.
  test.session.Begin(
      Pushed(ResourceKind::kAddress).AddPod({.name = "b"}).AddPod({.name = "c"}).message);
  EXPECT_FALSE(test.session.Advance(1));
  const size_t address = static_cast<size_t>(ResourceKind::kAddress);
  EXPECT_EQ(test.session.held()[address].resources.size(), 1u);
  EXPECT_TRUE(test.session.Advance(1));
  test.session.Finish();
  EXPECT_EQ(test.session.held()[address].resources.size(), 3u);
  EXPECT_EQ(before[address].resources.size(), 1u);
}

TEST(DeltaSession, OpensWithOneWildcardRequestPerKindAndItsNode) {
  Session test;
  const auto requests = test.session.Open();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].type_url(), "type.googleapis.com/istio.workload.Address");
  EXPECT_EQ(requests[1].type_url(), "type.googleapis.com/istio.security.Authorization");
  EXPECT_EQ(requests[2].type_url(), "type.googleapis.com/heddle.node.v1.NodePod");
  for (const auto& request : requests) {
    EXPECT_EQ(request.node().id(), "ztunnel~10.0.0.1~a.b~b.svc.cluster.local");
    EXPECT_EQ(request.node().metadata().fields().at("NODE_NAME").string_value(), "n1");
    EXPECT_THAT(request.resource_names_subscribe(), IsEmpty());
    EXPECT_THAT(request.resource_names_unsubscribe(), IsEmpty());
    EXPECT_EQ(request.response_nonce(), "");
    EXPECT_TRUE(request.initial_resource_versions().empty());
  }
}

TEST(DeltaSession, AcknowledgesAndPublishesOneStatePerResponse) {
  Session test;
  const auto outcome = test.Handle(
      Pushed(ResourceKind::kAddress).AddPod({}).AddPod({.name = "web-2", .ips = {"10.0.0.2"}}));
  EXPECT_EQ(outcome.reply.type_url(), TypeUrl(ResourceKind::kAddress));
  EXPECT_EQ(outcome.reply.response_nonce(), "n1");
  EXPECT_FALSE(outcome.reply.has_error_detail());
  EXPECT_FALSE(outcome.reply.has_node());
  EXPECT_EQ(outcome.applied, 2u);
  ASSERT_NE(outcome.state, nullptr);
  EXPECT_EQ(outcome.state->workloads().size(), 2u);
}

TEST(DeltaSession, NacksOneBadResourceAndKeepsTheRest) {
  Session test;
  const auto outcome = test.Handle(
      Pushed(ResourceKind::kAddress).Add("bad", "v1", "garbage").AddPod({}).Add("other", "v1", ""));
  EXPECT_EQ(outcome.reply.response_nonce(), "n1");
  EXPECT_EQ(outcome.reply.error_detail().message(),
            "bad: its bytes are no istio.workload.Address; other: it is neither a workload nor a "
            "service");
  EXPECT_EQ(outcome.state->workloads().size(), 1u);
}

TEST(DeltaSession, RefusesAResourceOfAnotherType) {
  Session test;
  Pushed pushed(ResourceKind::kAuthorization);
  pushed.AddPolicy(kGoodPolicy);
  pushed.message.mutable_resources(0)->mutable_resource()->set_type_url(
      std::string(TypeUrl(ResourceKind::kAddress)));
  const auto outcome = test.Handle(pushed);
  EXPECT_THAT(outcome.reply.error_detail().message(),
              HasSubstr("default/p: it is a type.googleapis.com/istio.workload"));
  ASSERT_EQ(outcome.state->policy_index().Refused("default").size(), 1u);
  EXPECT_NE(outcome.state->policy_index().Refused("default")[0]->refusal, "");
}

TEST(DeltaSession, RefusesAResourceThatContainsAnother) {
  Session test;
  const auto outcome =
      test.Handle(Pushed(ResourceKind::kAddress)
                      .Add("somebody", "v1", testing::MakeWorkload({}).SerializeAsString()));
  EXPECT_EQ(outcome.reply.error_detail().message(),
            "somebody: it contains the workload Kubernetes//Pod/default/web-1");
}

TEST(DeltaSession, BoundsTheTextOfANack) {
  Session test;
  Pushed pushed(ResourceKind::kAddress);
  for (int i = 0; i < 1000; ++i) pushed.Add(absl::StrCat("bad-", i), "v1", "garbage");
  const auto outcome = test.Handle(pushed);
  EXPECT_EQ(outcome.refused.size(), 1000u);
  EXPECT_LT(outcome.reply.error_detail().message().size(), kMaxNackBytes + 100);
  EXPECT_THAT(outcome.reply.error_detail().message(), HasSubstr(" more"));
}

TEST(DeltaSession, ListsTheLastGoodVersionOfARefusedResource) {
  Session test;
  test.Handle(Pushed(ResourceKind::kAuthorization).AddPolicy(kGoodPolicy, "v1"));
  const auto outcome =
      test.Handle(Pushed(ResourceKind::kAuthorization).AddPolicy(kBadPolicy, "v2"));
  EXPECT_TRUE(outcome.reply.has_error_detail());
  EXPECT_THAT(test.Versions(ResourceKind::kAuthorization), ElementsAre(Pair("default/p", "v1")));
}

TEST(DeltaSession, AsksAgainForWhatNeverWasGoodAndDropsItsStandInWhenItIsRemoved) {
  Session test;
  auto outcome = test.Handle(Pushed(ResourceKind::kAuthorization).AddPolicy(kBadPolicy));
  EXPECT_EQ(outcome.state->policy_index().Refused("default").size(), 1u);
  EXPECT_THAT(test.Versions(ResourceKind::kAuthorization), ElementsAre(Pair("default/p", "")));
  outcome = test.Handle(Pushed(ResourceKind::kAuthorization).Remove("default/p"));
  EXPECT_TRUE(outcome.state->policy_index().Refused("default").empty());
  EXPECT_THAT(test.Versions(ResourceKind::kAuthorization), IsEmpty());
}

TEST(DeltaSession, ListsWhatItHoldsOnTheNextStream) {
  Session test;
  test.Handle(Pushed(ResourceKind::kAddress)
                  .AddPod({}, "a")
                  .AddPod({.name = "web-2", .ips = {"10.0.0.2"}}, "b"));
  test.Handle(Pushed(ResourceKind::kAddress).Remove("Kubernetes//Pod/default/web-2"));
  EXPECT_THAT(test.Versions(ResourceKind::kAddress),
              UnorderedElementsAre(Pair("Kubernetes//Pod/default/web-1", "a")));
}

TEST(DeltaSession, IsReadyAfterTheFirstResponseOfEachKindEvenAnEmptyOne) {
  Session test;
  EXPECT_FALSE(test.Handle(Pushed(ResourceKind::kAddress)).state->ready());
  EXPECT_TRUE(test.Handle(Pushed(ResourceKind::kAuthorization)).state->ready());
  EXPECT_EQ(test.Handle(Pushed(ResourceKind::kAddress)).state, nullptr) << "nothing changed";
}

// Decision 017: a newer controller says more about a workload than this agent knows.
TEST(DeltaSession, TakesAResourceWithFieldsThatItDoesNotKnow) {
  Session s;
  auto address = testing::MakeWorkload({});
  auto& workload = *address.mutable_workload();
  workload.GetReflection()->MutableUnknownFields(&workload)->AddLengthDelimited(999, "new");
  Pushed pushed(ResourceKind::kAddress);
  pushed.Add(workload.uid(), "v1", address.SerializeAsString());
  pushed.message.GetReflection()->MutableUnknownFields(&pushed.message)->AddVarint(998, 1);
  const auto outcome = s.Handle(pushed);
  EXPECT_EQ(outcome.applied, 1u);
  EXPECT_THAT(outcome.refused, IsEmpty());
  EXPECT_FALSE(outcome.reply.has_error_detail());
}

TEST(DeltaSession, AcknowledgesTypesThatItDoesNotKnow) {
  Session test;
  DeltaSession::Response response;
  response.set_type_url("type.googleapis.com/some.Other");
  response.set_nonce("n9");
  const auto outcome = test.session.Handle(response);
  EXPECT_EQ(outcome.reply.response_nonce(), "n9");
  EXPECT_FALSE(outcome.reply.has_error_detail());
  EXPECT_EQ(outcome.state, nullptr);
}

TEST(DeltaSession, ShowsNothingOfAResponseUntilItIsFinished) {
  Session test;
  Pushed pushed(ResourceKind::kAddress);
  for (int i = 1; i <= 10; ++i)
    pushed.AddPod({.name = absl::StrCat("web-", i), .ips = {absl::StrCat("10.0.0.", i)}});
  const StateRef before = test.builder.Publish();
  test.session.Begin(pushed.message);
  int steps = 1;
  while (!test.session.Advance(3)) ++steps;
  EXPECT_EQ(steps, 4);
  EXPECT_EQ(before->workloads().size(), 0u);
  EXPECT_EQ(test.session.Finish().state->workloads().size(), 10u);
}

TEST(DeltaSession, RestoresWhatWasHeldWithVersionsStandInsAndReadiness) {
  Session first;
  first.Handle(Pushed(ResourceKind::kAddress).AddPod({}, "a").Add("bad", "x", "garbage"));
  first.Handle(Pushed(ResourceKind::kAuthorization).AddPolicy(kBadPolicy));
  const auto file = EncodeState(first.session.held());
  ASSERT_TRUE(file.ok());

  Session second;
  const auto stored = ViewState(*file);
  ASSERT_TRUE(stored.ok()) << stored.status();
  const StateRef state = second.session.Restore(*stored);
  second.session.HoldRestored(*stored);
  EXPECT_TRUE(state->ready());
  EXPECT_FALSE(state->has(ResourceKind::kNodePod));
  EXPECT_NE(state->FindWorkload("", *io::IpAddress::Parse("10.0.0.1")), nullptr);
  EXPECT_EQ(state->policy_index().Refused("default").size(), 1u) << "still denied";
  EXPECT_THAT(second.Versions(ResourceKind::kAddress),
              UnorderedElementsAre(Pair("Kubernetes//Pod/default/web-1", "a"), Pair("bad", "")));
  EXPECT_THAT(second.Versions(ResourceKind::kAuthorization), ElementsAre(Pair("default/p", "")));
}

// A first state is built at once, a large one by two threads; later ones change by change.
class RestoredSession : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Pods, RestoredSession, ::testing::Values(300, 1500));

TEST_P(RestoredSession, HasTheStateThatResponsesHadMade) {
  const int pods = GetParam();
  Session first;
  Pushed all(ResourceKind::kAddress);
  for (int i = 0; i < pods; ++i) {
    all.AddPod({.name = absl::StrCat("web-", i),
                // Some share an address; some have two, and one another capacity.
                .ips = i % 3 == 0 ? std::vector<std::string>{absl::StrCat("10.0.0.", i % 250),
                                                             absl::StrCat("fd00::", i)}
                                  : std::vector<std::string>{absl::StrCat("10.0.0.", i % 250)},
                .capacity = i == 7 ? 3u : 1u,
                .services = {{absl::StrCat("default/web-", i % 20), {{80, 8080}}},
                             {"default/all", {{80, 8080}}}}});
  }
  const testing::ServiceOptions service;
  all.Add(service.id(), "v1", testing::MakeService(service).SerializeAsString());
  const StateRef before = first.Handle(std::move(all)).state;

  Session second;
  HeldResources held = first.session.held();
  auto& addresses = held[static_cast<size_t>(ResourceKind::kAddress)].resources;
  addresses.Put(addresses.last_edit() + 1, "rotten",
                std::make_shared<const HeldResource>("v1", "garbage"));
  const std::string file = *EncodeState(held);
  const auto stored = ViewState(file);
  ASSERT_TRUE(stored.ok()) << stored.status();
  const StateRef after = second.session.Restore(*stored);
  second.session.HoldRestored(*stored);
  EXPECT_EQ(after->workloads().size(), static_cast<size_t>(pods));
  for (int i = 0; i < pods; ++i) {
    const WorkloadUid uid(absl::StrCat("Kubernetes//Pod/default/web-", i));
    ASSERT_NE(after->FindWorkload(uid), nullptr) << i;
    EXPECT_EQ(*after->FindWorkload(uid), *before->FindWorkload(uid));
    EXPECT_NE(after->FindWorkload("", *io::IpAddress::Parse(absl::StrCat("10.0.0.", i % 250))),
              nullptr);
  }
  EXPECT_EQ(after->FindEndpoints(ServiceName("default/all")).size(), static_cast<size_t>(pods));
  EXPECT_EQ(after->FindEndpoints(ServiceName("default/web-3")).size(), static_cast<size_t>(pods) / 20);
  EXPECT_TRUE(after->HasWeights(ServiceName("default/web-7")));
  EXPECT_FALSE(after->HasWeights(ServiceName("default/web-8")));

  EXPECT_NE(after->FindService(ServiceName(service.id())), nullptr);
  EXPECT_EQ(after->FindServiceByHostname("web.default.svc.cluster.local", "default"),
            after->FindService(ServiceName(service.id())));
  EXPECT_THAT(second.Versions(ResourceKind::kAddress), Contains(Pair("rotten", "")))
      << "asked for again";

  Pushed removal(ResourceKind::kAddress);
  for (int i = 0; i < pods; ++i) removal.Remove(absl::StrCat("Kubernetes//Pod/default/web-", i));
  const StateRef empty = second.Handle(std::move(removal)).state;
  EXPECT_TRUE(empty->workloads().empty());
  EXPECT_TRUE(empty->FindEndpoints(ServiceName("default/all")).empty());
  EXPECT_EQ(empty->FindWorkload("", *io::IpAddress::Parse("10.0.0.1")), nullptr);
  EXPECT_EQ(after->workloads().size(), static_cast<size_t>(pods)) << "who holds a state keeps it";
}

}  // namespace
}  // namespace heddle::agent
