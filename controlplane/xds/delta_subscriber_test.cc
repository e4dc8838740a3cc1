#include "controlplane/xds/delta_subscriber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/workload.pb.h"

namespace heddle::controlplane::xds {
namespace {

namespace wire = envoy::service::discovery::v3;
using testing::ElementsAre;
using testing::IsEmpty;

translate::ResourceSet Set(std::vector<std::pair<std::string, std::string>> entries) {
  translate::ResourceSet resources;
  for (const auto& [name, content] : entries) {
    istio::workload::Address address;
    address.mutable_workload()->set_name(content);
    resources.push_back(translate::MakeResource(name, address));
  }
  translate::SortResources(resources);
  return resources;
}

// Publishes whole states: what differs from the last one.
class Publisher {
 public:
  struct Whole {
    translate::ResourceSet addresses;
    translate::ResourceSet authorizations;
    std::map<std::string, translate::ResourceSet> node_pods;
    std::map<std::string, std::set<std::string>> identities;
  };
  void Publish(Whole next) {
    translate::TranslationDelta delta{
        .addresses = {next.addresses, Gone(last_.addresses, next.addresses)},
        .authorizations = {next.authorizations, Gone(last_.authorizations, next.authorizations)},
        .identities = next.identities};
    for (const auto& [node, pods] : last_.node_pods)
      delta.node_pods[node].removed = Gone(pods, next.node_pods[node]);
    for (const auto& [node, pods] : next.node_pods) delta.node_pods[node].upserted = pods;
    state_.Publish(Encode(std::move(delta)));
    last_ = std::move(next);
  }
  SnapshotPtr Get(ResourceType type, const std::string& node) const {
    return state_.Get(type, node);
  }
  const PublishedState& state() const { return state_; }

 private:
  static std::vector<std::string> Gone(const translate::ResourceSet& before,
                                       const translate::ResourceSet& after) {
    std::set<std::string> names;
    for (const translate::Resource& resource : before) names.insert(resource.name);
    for (const translate::Resource& resource : after) names.erase(resource.name);
    return {names.begin(), names.end()};
  }
  PublishedState state_;
  Whole last_;
};

// A node's view of the protocol: subscribes, reads, acknowledges.
class Node {
 public:
  Node(std::string name, const Publisher& publisher)
      : subscriber_(std::move(name), publisher.state()) {}

  absl::Status Subscribe(ResourceType type, std::map<std::string, std::string> held = {}) {
    wire::DeltaDiscoveryRequest request;
    request.set_type_url(std::string(TypeUrl(type)));
    for (const auto& [resource, version] : held)
      (*request.mutable_initial_resource_versions())[resource] = version;
    return subscriber_.OnRequest(request);
  }

  // The next response, with what it says in short: "+a" sent, "-a" removed. Empty: none.
  std::vector<std::string> Read() {
    auto response = subscriber_.Next();
    if (!response.has_value()) return {};
    pieces_.clear();
    std::string bytes;
    while (bytes.size() < response->size()) {
      const size_t before = bytes.size();
      response->AppendNext(bytes);
      pieces_.push_back(bytes.size() - before);
    }
    EXPECT_EQ(bytes.size(), response->size());
    EXPECT_TRUE(last_.ParseFromString(bytes));
    EXPECT_EQ(static_cast<size_t>(last_.resources_size()), response->changed());
    EXPECT_EQ(last_.type_url(), TypeUrl(response->type()));
    std::vector<std::string> said = {
        std::string(response->type() == ResourceType::kAddress         ? "address"
                    : response->type() == ResourceType::kAuthorization ? "policy"
                                                                       : "pod")};
    for (const wire::Resource& resource : last_.resources()) {
      EXPECT_EQ(resource.version(), translate::ContentVersion(resource.resource().value()));
      EXPECT_EQ(resource.resource().type_url(), last_.type_url());
      said.push_back("+" + resource.name());
    }
    for (const std::string& name : last_.removed_resources()) said.push_back("-" + name);
    return said;
  }

  void Answer(const wire::DeltaDiscoveryResponse& response, std::string refusal = "") {
    wire::DeltaDiscoveryRequest request;
    request.set_type_url(response.type_url());
    request.set_response_nonce(response.nonce());
    if (!refusal.empty()) request.mutable_error_detail()->set_message(refusal);
    EXPECT_TRUE(subscriber_.OnRequest(request).ok());
  }
  void Ack() { Answer(last_); }

  DeltaSubscriber& subscriber() { return subscriber_; }
  const wire::DeltaDiscoveryResponse& last() const { return last_; }
  // Sizes of the pieces that it came in.
  const std::vector<size_t>& pieces() const { return pieces_; }

 private:
  DeltaSubscriber subscriber_;
  wire::DeltaDiscoveryResponse last_;
  std::vector<size_t> pieces_;
};

TEST(DeltaSubscriber, ServesNothingBeforeTheStateIsKnown) {
  Publisher state;
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  EXPECT_THAT(node.Read(), IsEmpty());
  state.Publish({});
  EXPECT_THAT(node.Read(), ElementsAre("address"));
}

TEST(DeltaSubscriber, SendsDifferencesOneResponseAtATime) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}, {"b", "1"}})});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  EXPECT_THAT(node.Read(), ElementsAre("address", "+a", "+b"));
  EXPECT_THAT(node.Read(), IsEmpty());

  state.Publish({.addresses = Set({{"a", "2"}, {"b", "1"}})});
  EXPECT_THAT(node.Read(), IsEmpty()) << "the first response is not acknowledged yet";
  state.Publish({.addresses = Set({{"a", "2"}, {"c", "1"}})});
  node.Ack();
  EXPECT_THAT(node.Read(), ElementsAre("address", "+a", "+c", "-b"));
  EXPECT_FALSE(node.subscriber().InSync());
  node.Ack();
  EXPECT_THAT(node.Read(), IsEmpty());
  EXPECT_TRUE(node.subscriber().InSync());
}

// Whatever the mesh's size and the number of nodes that begin at once, none of them has it all in memory.
TEST(DeltaSubscriber, HandsOutALargeMeshPieceByPiece) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (int i = 0; i < 2000; ++i)
    entries.emplace_back(absl::StrCat("name-", i), std::string(300, 'x'));
  entries.emplace_back("larger than a piece", std::string(200'000, 'x'));
  Publisher state;
  const translate::ResourceSet resources = Set(entries);
  state.Publish({.addresses = resources});
  const std::map<std::string, std::string> all_but_one = {
      {resources[0].name, resources[0].version}};
  for (const bool cold : {true, false}) {
    Node node("n1", state);
    ASSERT_TRUE(node.Subscribe(ResourceType::kAddress,
                               cold ? std::map<std::string, std::string>() : all_but_one)
                    .ok());
    EXPECT_EQ(node.Read().size(), 1 + entries.size() - (cold ? 0 : 1));
    EXPECT_GT(node.pieces().size(), 10);
    for (const size_t piece : node.pieces())
      EXPECT_TRUE(piece <= 64 * 1024 || piece > 200'000) << piece;
    node.Ack();
    EXPECT_TRUE(node.subscriber().InSync());
  }
}

TEST(DeltaSubscriber, SendsOnlyDifferencesAfterAReconnect) {
  Publisher state;
  const translate::ResourceSet resources = Set({{"a", "1"}, {"b", "2"}});
  state.Publish({.addresses = resources});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress,
                             {{"a", resources[0].version}, {"b", "old"}, {"z", "gone"}})
                  .ok());
  EXPECT_THAT(node.Read(), ElementsAre("address", "+b", "-z"));

  Node same("n2", state);
  ASSERT_TRUE(same.Subscribe(ResourceType::kAddress,
                             {{"a", resources[0].version}, {"b", resources[1].version}})
                  .ok());
  EXPECT_THAT(same.Read(), ElementsAre("address"))
      << "an empty answer tells the node that it is up to date";
}

TEST(DeltaSubscriber, SendsNothingForAChangeThatWasTakenBack) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}})});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  node.Read();
  state.Publish({.addresses = Set({{"a", "2"}})});
  state.Publish({.addresses = Set({{"a", "1"}})});
  node.Ack();
  EXPECT_THAT(node.Read(), IsEmpty());
  EXPECT_TRUE(node.subscriber().InSync());
}

TEST(DeltaSubscriber, GivesANodeItsOwnPodsOnly) {
  Publisher state;
  state.Publish({.node_pods = {{"n1", Set({{"u1", "x"}})}, {"n2", Set({{"u2", "x"}})}}});
  for (const auto& [name, want] :
       std::map<std::string, std::string>{{"n1", "+u1"}, {"n2", "+u2"}}) {
    Node node(name, state);
    ASSERT_TRUE(node.Subscribe(ResourceType::kNodePod).ok());
    EXPECT_THAT(node.Read(), ElementsAre("pod", want));
  }
  Node other("n3", state);
  ASSERT_TRUE(other.Subscribe(ResourceType::kNodePod).ok());
  EXPECT_THAT(other.Read(), ElementsAre("pod"));

  Node moved("n1", state);
  ASSERT_TRUE(moved.Subscribe(ResourceType::kNodePod).ok());
  moved.Read();
  moved.Ack();
  state.Publish({});
  EXPECT_THAT(moved.Read(), ElementsAre("pod", "-u1"));
}

TEST(DeltaSubscriber, CountsARefusalAndGoesOn) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}})});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  node.Read();
  node.Answer(node.last(), "a: bad address");
  EXPECT_EQ(node.subscriber().counts().refused, 1u);
  EXPECT_EQ(node.subscriber().last_refusal(), "a: bad address");
  EXPECT_THAT(node.Read(), IsEmpty()) << "the same resource would be refused again";
  state.Publish({.addresses = Set({{"a", "2"}})});
  EXPECT_THAT(node.Read(), ElementsAre("address", "+a"));
}

TEST(DeltaSubscriber, IgnoresStaleNoncesAndUnknownTypes) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}})});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  node.Read();
  wire::DeltaDiscoveryResponse stale = node.last();
  stale.set_nonce("other");
  node.Answer(stale);
  state.Publish({.addresses = Set({{"a", "2"}})});
  EXPECT_THAT(node.Read(), IsEmpty());
  stale.set_type_url("type.googleapis.com/unknown");
  node.Answer(stale);
  EXPECT_EQ(node.subscriber().counts().stale, 1u);
  EXPECT_EQ(node.subscriber().counts().unknown_types, 1u);
}

// Decision 017: what a side does not know it does not ask for.
TEST(DeltaSubscriber, ServesAnAgentThatKnowsIstiosTypesOnly) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}}),
                 .authorizations = Set({{"p", "1"}}),
                 .node_pods = {{"n1", Set({{"u1", "x"}})}}});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAuthorization).ok());
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  EXPECT_THAT(node.Read(), ElementsAre("policy", "+p"));
  node.Ack();
  EXPECT_THAT(node.Read(), ElementsAre("address", "+a"));
  node.Ack();
  EXPECT_THAT(node.Read(), IsEmpty());
  EXPECT_TRUE(node.subscriber().InSync());
}

TEST(DeltaSubscriber, HoldsUpNothingForAnAgentThatAlsoAsksForWhatIsNotServed) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}})});
  Node node("n1", state);
  wire::DeltaDiscoveryRequest newer;
  newer.set_type_url("type.googleapis.com/heddle.node.v9.Unheard");
  newer.GetReflection()->MutableUnknownFields(&newer)->AddVarint(999, 1);
  EXPECT_TRUE(node.subscriber().OnRequest(newer).ok());
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  EXPECT_THAT(node.Read(), ElementsAre("address", "+a"));
  node.Ack();
  EXPECT_TRUE(node.subscriber().InSync());
}

TEST(DeltaSubscriber, RefusesSubscriptionsToSingleNames) {
  Publisher state;
  Node node("n1", state);
  wire::DeltaDiscoveryRequest request;
  request.set_type_url(std::string(translate::kAddressType));
  request.add_resource_names_subscribe("/10.0.0.1");
  EXPECT_EQ(node.subscriber().OnRequest(request).code(), absl::StatusCode::kUnimplemented);
  request.set_resource_names_subscribe(0, "*");
  EXPECT_TRUE(node.subscriber().OnRequest(request).ok());
}

TEST(DeltaSubscriber, BringsAPolicyBeforeTheWorkloadThatNamesItAndTakesItAwayAfterwards) {
  Publisher state;
  state.Publish({.addresses = Set({{"w", "plain"}})});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  ASSERT_TRUE(node.Subscribe(ResourceType::kAuthorization).ok());
  EXPECT_THAT(node.Read(), ElementsAre("policy"));
  EXPECT_THAT(node.Read(), ElementsAre("address", "+w"));

  // The policy's type is not acknowledged, the workload's is: the workload waits all the same.
  const wire::DeltaDiscoveryResponse addresses = node.last();
  state.Publish({.addresses = Set({{"w", "names p"}}), .authorizations = Set({{"p", "1"}})});
  node.Answer(addresses);
  EXPECT_THAT(node.Read(), IsEmpty());
  wire::DeltaDiscoveryResponse policies = addresses;
  policies.set_type_url(std::string(translate::kAuthorizationType));
  policies.set_nonce("1");
  node.Answer(policies);
  EXPECT_THAT(node.Read(), ElementsAre("policy", "+p"));
  node.Ack();
  EXPECT_THAT(node.Read(), ElementsAre("address", "+w"));
  node.Ack();

  state.Publish({.addresses = Set({{"w", "plain"}}), .authorizations = Set({{"q", "1"}})});
  EXPECT_THAT(node.Read(), ElementsAre("policy", "+q"));
  node.Ack();
  EXPECT_THAT(node.Read(), ElementsAre("address", "+w"));
  node.Ack();
  EXPECT_THAT(node.Read(), ElementsAre("policy", "-p"));
  node.Ack();
  EXPECT_TRUE(node.subscriber().InSync());
}

TEST(DeltaSubscriber, TakesAPolicyAwayAtOnceWhenNoWorkloadChanges) {
  Publisher state;
  state.Publish({.authorizations = Set({{"p", "1"}})});
  Node node("n1", state);
  ASSERT_TRUE(node.Subscribe(ResourceType::kAddress).ok());
  ASSERT_TRUE(node.Subscribe(ResourceType::kAuthorization).ok());
  node.Read();
  node.Ack();
  node.Read();
  state.Publish({});
  EXPECT_THAT(node.Read(), ElementsAre("policy", "-p"));
}

TEST(PublishedState, EncodesAResourceOnceAndKeepsWhatDidNotChange) {
  Publisher state;
  state.Publish({.addresses = Set({{"a", "1"}, {"b", "1"}})});
  const SnapshotPtr first = state.Get(ResourceType::kAddress, "");
  state.Publish({.addresses = Set({{"a", "1"}, {"b", "1"}})});
  EXPECT_EQ(state.Get(ResourceType::kAddress, ""), first);
  state.Publish({.addresses = Set({{"a", "1"}, {"b", "2"}})});
  const SnapshotPtr second = state.Get(ResourceType::kAddress, "");
  EXPECT_EQ(second->Find("a"), first->Find("a"));
  EXPECT_NE(second->Find("b"), first->Find("b"));
}

TEST(PublishedState, KnowsWhichIdentitiesANodeMayHave) {
  Publisher state;
  state.Publish({.identities = {{"n1", {"spiffe://td/ns/a/sa/b"}}}});
  EXPECT_TRUE(state.state().MayBe("n1", "spiffe://td/ns/a/sa/b"));
  EXPECT_FALSE(state.state().MayBe("n2", "spiffe://td/ns/a/sa/b"));
  EXPECT_FALSE(state.state().MayBe("n1", "spiffe://td/ns/a/sa/c"));
}

}  // namespace
}  // namespace heddle::controlplane::xds
