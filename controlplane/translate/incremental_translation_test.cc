#include "controlplane/translate/incremental_translation.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace heddle::controlplane::translate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Bodies = std::map<std::string, std::string>;

Bodies BodiesOf(const ResourceSet& resources) {
  Bodies bodies;
  for (const Resource& resource : resources) {
    EXPECT_EQ(resource.version, ContentVersion(resource.body));
    bodies[resource.name] = resource.body;
  }
  return bodies;
}

// A Translation in a form that deltas are applied to, and that compares.
struct Known {
  Bodies addresses;
  Bodies authorizations;
  std::map<std::string, Bodies> node_pods;
  std::map<std::string, std::set<std::string>> identities;
  std::map<api::ObjectKey, std::vector<api::ObjectStatus>> statuses;

  static Known Of(const Translation& translation) {
    Known known{.addresses = BodiesOf(translation.addresses),
                .authorizations = BodiesOf(translation.authorizations),
                .identities = translation.identities};
    for (const auto& [node, pods] : translation.node_pods) known.node_pods[node] = BodiesOf(pods);
    for (const api::ObjectStatus& status : translation.statuses)
      known.statuses[status.object].push_back(status);
    return known;
  }

  static void Apply(const ResourceChanges& changes, Bodies& bodies) {
    for (const std::string& name : changes.removed) bodies.erase(name);
    for (const auto& [name, body] : BodiesOf(changes.upserted)) {
      EXPECT_FALSE(std::ranges::binary_search(changes.removed, name)) << name;
      bodies[name] = body;
    }
  }

  void Apply(const TranslationDelta& delta) {
    Apply(delta.addresses, addresses);
    Apply(delta.authorizations, authorizations);
    for (const auto& [node, pods] : delta.node_pods) Apply(pods, node_pods[node]);
    std::erase_if(node_pods, [](const auto& entry) { return entry.second.empty(); });
    for (const auto& [node, of_node] : delta.identities) identities[node] = of_node;
    std::erase_if(identities, [](const auto& entry) { return entry.second.empty(); });
    for (const auto& [key, of_object] : delta.statuses) statuses[key] = of_object;
    std::erase_if(statuses, [](const auto& entry) { return entry.second.empty(); });
  }
};

void ExpectEqual(const Known& got, const Known& want) {
  EXPECT_EQ(got.addresses, want.addresses);
  EXPECT_EQ(got.authorizations, want.authorizations);
  EXPECT_EQ(got.node_pods, want.node_pods);
  EXPECT_EQ(got.identities, want.identities);
  ASSERT_EQ(got.statuses.size(), want.statuses.size());
  for (const auto& [key, statuses] : want.statuses) {
    const auto found = got.statuses.find(key);
    ASSERT_NE(found, got.statuses.end()) << key.ToString();
    EXPECT_EQ(found->second, statuses) << key.ToString() << ": " << statuses.front().note;
  }
}

// Few names of each kind, so that objects meet: they name, select, replace and shadow each other.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) {}

  api::StoreDiff NextDiff() {
    api::StoreDiff diff;
    for (int i = Below(4); i >= 0; --i) {
      if (Below(4) == 0) {
        diff.removed.push_back(api::KeyOf(Make()));
      } else {
        diff.upserted.push_back(Make());
      }
    }
    return diff;
  }

  CapturedPods NextCaptured() {
    CapturedPods captured;
    if (Below(3) != 0) return captured;
    std::set<std::string>& uids = captured[Node()];
    for (int i = Below(5); i > 0; --i) uids.insert(Uid());
    return captured;
  }

  RemovalPhase NextPhase() {
    return Maybe() ? RemovalPhase::kNone : static_cast<RemovalPhase>(Below(4));
  }

 private:
  int Below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  bool Maybe() { return Below(2) == 0; }
  std::string One(std::initializer_list<const char*> of) {
    return of.begin()[Below(static_cast<int>(of.size()))];
  }
  std::string Space() { return One({"istio-system", "a", "b"}); }
  std::string Node() { return absl::StrCat("n", Below(3)); }
  std::string Uid() { return absl::StrCat("uid-", Below(6)); }
  io::IpAddress Ip() { return io::IpAddress::V4(10, 0, 0, static_cast<uint8_t>(Below(6))); }

  api::ObjectMeta Meta(const char* prefix, int names, bool namespaced = true) {
    api::ObjectMeta meta{.name = absl::StrCat(prefix, Below(names))};
    if (namespaced) meta.name_space = Space();
    if (Maybe()) meta.created = absl::FromUnixSeconds(Below(5));
    return meta;
  }
  api::Labels Labels() {
    api::Labels::Map labels;
    if (Maybe()) labels["app"] = One({"x", "y"});
    if (Maybe()) labels["tier"] = One({"x", "y"});
    return labels;
  }
  static api::Labels With(const api::Labels& labels, const char* name, std::string value) {
    api::Labels::Map map = labels.map();
    map[name] = std::move(value);
    return map;
  }
  void MaybeEnrol(api::Labels& labels) {
    if (Maybe()) labels = With(labels, "istio.io/dataplane-mode", One({"ambient", "none"}));
  }

  api::Pod Pod() {
    api::Pod pod{.meta = Meta("p", 4), .service_account = One({"default", "other"})};
    if (Below(8) != 0) pod.meta.uid = Uid();
    pod.meta.labels = Labels();
    MaybeEnrol(pod.meta.labels);
    if (Below(4) == 0)
      pod.meta.annotations = {
          {"traffic.sidecar.istio.io/excludeInboundPorts", One({"80", "x"})}};
    if (Below(4) != 0) pod.node_name = Node();
    pod.host_network = Below(6) == 0;
    pod.terminal = Below(6) == 0;
    pod.ready = Maybe();
    for (int i = Below(3); i > 0; --i) pod.ips.push_back(Ip());
    if (Maybe()) pod.named_ports = {{.name = "http", .port = 8080}};
    return pod;
  }
  api::Service Service() {
    api::Service service{.meta = Meta("s", 2), .selector = Labels()};
    service.external_name = Below(8) == 0;
    if (Maybe()) service.addresses.push_back(Ip());
    service.publish_not_ready = Below(4) == 0;
    service.ports = {{.name = "http", .port = 80, .target = uint16_t{81}}};
    if (Maybe()) service.ports.front().target = std::string("http");
    return service;
  }
  api::EndpointSlice Slice() {
    api::EndpointSlice slice{.meta = Meta("e", 3), .service = One({"", "s0", "s1"})};
    if (Below(4) != 0)
      slice.ports = {{.name = "http", .port = static_cast<uint16_t>(Below(3) + 1)}};
    for (int i = Below(4); i > 0; --i) {
      api::Endpoint endpoint{.addresses = {Ip()}, .ready = Below(4) != 0};
      if (Maybe()) endpoint.addresses.push_back(Ip());
      if (Maybe()) endpoint.pod = absl::StrCat("p", Below(4));
      if (Maybe()) endpoint.node_name = Node();
      slice.endpoints.push_back(endpoint);
    }
    return slice;
  }
  api::AuthorizationPolicy Policy() {
    using Action = api::AuthorizationPolicy::Action;
    api::AuthorizationPolicy policy{.meta = Meta("z", 3), .selector = Labels()};
    policy.action = Maybe() ? Action::kAllow : Below(4) == 0 ? Action::kAudit : Action::kDeny;
    policy.has_target_refs = Below(8) == 0;
    if (Maybe()) policy.rules.resize(1);
    return policy;
  }
  api::PeerAuthentication Peer() {
    using api::MtlsMode;
    const auto mode = [this] { return static_cast<MtlsMode>(Below(4)); };
    api::PeerAuthentication peer{.meta = Meta("m", 3), .selector = Labels(), .mode = mode()};
    if (Maybe()) peer.port_modes[80] = mode();
    return peer;
  }
  api::InterceptionPolicy Interception() {
    api::InterceptionPolicy policy{.meta = Meta("i", 3), .selector = Labels()};
    policy.exclusions.outbound_ports = {static_cast<uint16_t>(Below(3) + 1)};
    if (Maybe()) policy.exclusions.inbound_cidrs = {*io::IpPrefix::Parse("192.0.2.0/24")};
    policy.fail_open = Below(4) == 0;
    return policy;
  }

  template <typename T>
  static api::Object Share(T object) {
    return std::make_shared<const T>(std::move(object));
  }
  api::Object Make() {
    switch (Below(12)) {
      case 0: {
        api::Namespace name_space{.meta = {.name = Space()}};
        MaybeEnrol(name_space.meta.labels);
        return Share(std::move(name_space));
      }
      case 1: {
        api::Node node{.meta = {.name = Node()}};
        if (Maybe()) node.meta.labels = {{"topology.kubernetes.io/zone", One({"x", "y"})}};
        return Share(std::move(node));
      }
      case 2: return Share(api::ServiceAccount{.meta = Meta("sa", 2)});
      case 3: return Share(Service());
      case 4:
      case 5: return Share(Slice());
      case 6: return Share(Policy());
      case 7: return Share(Peer());
      case 8: return Share(Interception());
      default: return Share(Pod());
    }
  }

  std::mt19937 random_;
};

TEST(IncrementalTranslation, GivesWhatATranslationOfEverythingGivesWhateverChanges) {
  constexpr int kSeeds = 60;
  constexpr int kSteps = 150;
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    World world(seed);
    api::ObjectStore objects;
    CapturedPods captured;
    IncrementalTranslation translation(objects, {});
    Known known;
    RemovalPhase phase = RemovalPhase::kNone;
    for (int step = 0; step < kSteps; ++step) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, ", step ", step));
      const CapturedPods reported = world.NextCaptured();
      for (const auto& [node, uids] : reported) captured[node] = uids;
      if (step % 40 == 39) phase = world.NextPhase();
      known.Apply(translation.Update(
          {.objects = objects.Apply(world.NextDiff()), .captured = reported, .removal = phase}));
      ExpectEqual(known, Known::Of(Translate(objects, captured, {}, phase)));
      if (testing::Test::HasFailure()) return;
    }
  }
}

class SmallMesh : public testing::Test {
 protected:
  // Ten services of ten pods, with slices, in two namespaces.
  SmallMesh() : translation_(objects_, {}) {
    api::StoreDiff diff;
    for (int service = 0; service < 10; ++service) {
      const std::string name_space = service % 2 == 0 ? "even" : "odd";
      const std::string app = absl::StrCat("app-", service);
      api::EndpointSlice slice{.meta = {.name = app, .name_space = name_space}, .service = app};
      for (int i = 0; i < 10; ++i) {
        const auto pod = PodOf(name_space, app, absl::StrCat(app, "-", i));
        slice.endpoints.push_back({.addresses = pod->ips, .pod = pod->meta.name});
        diff.upserted.push_back(pod);
      }
      diff.upserted.push_back(std::make_shared<const api::EndpointSlice>(slice));
      diff.upserted.push_back(std::make_shared<const api::Service>(api::Service{
          .meta = {.name = app, .name_space = name_space}, .selector = {{"app", app}}}));
    }
    first_ = Apply(diff);
  }

  static std::shared_ptr<const api::Pod> PodOf(const std::string& name_space,
                                               const std::string& app, const std::string& name,
                                               bool ready = true) {
    return std::make_shared<const api::Pod>(api::Pod{.meta = {.name = name,
                                                              .name_space = name_space,
                                                              .uid = absl::StrCat("uid-", name),
                                                              .labels = {{"app", app}}},
                                                     .node_name = "n1",
                                                     .ready = ready,
                                                     .ips = {io::IpAddress::V4(10, 0, 0, 1)}});
  }
  TranslationDelta Apply(const api::StoreDiff& diff) {
    return translation_.Update({.objects = objects_.Apply(diff)});
  }
  static std::vector<std::string> Names(const ResourceSet& resources) {
    std::vector<std::string> names;
    for (const Resource& resource : resources) names.push_back(resource.name);
    return names;
  }

  api::ObjectStore objects_;
  IncrementalTranslation translation_;
  TranslationDelta first_;
};

TEST_F(SmallMesh, StartsWithEverything) {
  EXPECT_EQ(first_.addresses.upserted.size(), 110u);
  EXPECT_THAT(first_.addresses.removed, IsEmpty());
  EXPECT_EQ(first_.node_pods.at("n1").upserted.size(), 100u);
}

TEST_F(SmallMesh, APodThatBecomesUnreadyIsDerivedAlone) {
  const TranslationDelta delta = Apply({.upserted = {PodOf("even", "app-2", "app-2-7", false)}});
  EXPECT_THAT(Names(delta.addresses.upserted), ElementsAre("Kubernetes//Pod/even/app-2-7"));
  EXPECT_THAT(delta.addresses.removed, IsEmpty());
  EXPECT_THAT(Names(delta.node_pods.at("n1").upserted), ElementsAre("uid-app-2-7"));
  EXPECT_THAT(delta.authorizations.upserted, IsEmpty());
  EXPECT_THAT(delta.statuses, IsEmpty());
}

TEST_F(SmallMesh, APodThatGoesLeavesAForeignEndpointUntilItsSliceForgetsIt) {
  const TranslationDelta delta = Apply({.removed = {{api::Kind::kPod, {"even", "app-2-7"}}}});
  EXPECT_THAT(Names(delta.addresses.upserted),
              ElementsAre("Kubernetes/discovery.k8s.io/EndpointSlice/even/app-2/10.0.0.1"));
  EXPECT_THAT(delta.addresses.removed, ElementsAre("Kubernetes//Pod/even/app-2-7"));
  EXPECT_THAT(delta.node_pods.at("n1").removed, ElementsAre("uid-app-2-7"));
}

TEST_F(SmallMesh, APolicyIsDerivedWithThePodsThatItStartsOrCeasesToSelect) {
  api::AuthorizationPolicy policy{.meta = {.name = "z", .name_space = "odd"},
                                  .selector = {{"app", "app-3"}}};
  const auto share = [](const api::AuthorizationPolicy& one) {
    return std::make_shared<const api::AuthorizationPolicy>(one);
  };
  TranslationDelta delta = Apply({.upserted = {share(policy)}});
  EXPECT_THAT(Names(delta.authorizations.upserted), ElementsAre("odd/z"));
  EXPECT_EQ(delta.addresses.upserted.size(), 10u);
  policy.dry_run = true;
  delta = Apply({.upserted = {share(policy)}});
  EXPECT_THAT(Names(delta.authorizations.upserted), ElementsAre("odd/z"));
  EXPECT_THAT(delta.addresses.upserted, IsEmpty()) << "pods name it as before";
  policy.selector = {{"app", "app-5"}};
  EXPECT_EQ(Apply({.upserted = {share(policy)}}).addresses.upserted.size(), 20u);
  delta = Apply({.removed = {{api::Kind::kAuthorizationPolicy, {"odd", "z"}}}});
  EXPECT_THAT(delta.authorizations.removed, ElementsAre("odd/z"));
  EXPECT_EQ(delta.addresses.upserted.size(), 10u);
}

}  // namespace
}  // namespace heddle::controlplane::translate
