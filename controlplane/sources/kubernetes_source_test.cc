// The source against an API server in memory, in simulated time.

#include "controlplane/sources/kubernetes_source.h"

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/sources/directory_source.h"
#include "controlplane/sources/watched_kinds.h"
#include "controlplane/translate/translate.h"
#include "lib/base/testing/temporary_directory.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane::sources {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Json = nlohmann::json;

const std::string kPods = "/api/v1/pods";
const std::string kPolicies = "/apis/security.istio.io/v1/authorizationpolicies";
const std::string kOldPolicies = "/apis/security.istio.io/v1beta1/authorizationpolicies";
const std::string kPeers = "/apis/security.istio.io/v1/peerauthentications";

Json Object(const std::string& version, const std::string& kind, const std::string& name) {
  return {{"apiVersion", version},
          {"kind", kind},
          {"metadata",
           {{"name", name},
            {"namespace", "shop"},
            {"uid", "uid-" + name},
            {"creationTimestamp", "2026-01-31T12:00:00Z"},
            {"labels", {{"app", name}, {"istio.io/dataplane-mode", "ambient"}}},
            {"managedFields", Json::array({{{"manager", "kubectl"}}})}}}};
}
Json Pod(const std::string& name, const std::string& ip) {
  Json pod = Object("v1", "Pod", name);
  pod["spec"] = {{"nodeName", "n1"}, {"serviceAccountName", name}};
  pod["status"] = {{"podIP", ip},
                   {"phase", "Running"},
                   {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}};
  return pod;
}
Json Policy(const std::string& name, const std::string& action) {
  Json policy = Object("security.istio.io/v1", "AuthorizationPolicy", name);
  policy["spec"] = {{"action", action}, {"rules", Json::array({Json::object()})}};
  return policy;
}

class World {
 public:
  World()
      : loop(simulation.AddLoop()),
        server(loop),
        client(loop, server.MakeConnector(), kube::BearerToken({}),
               {.authority = "10.0.0.1:443", .user_agent = "test"}),
        source(loop, client, simulation.random(), registry, "heddle-system"),
        changed(loop),
        scope(loop) {}

  // The kinds of Kubernetes itself, with nothing in them, and a pod.
  void Install() {
    for (const WatchedKind& kind : WatchedKinds())
      if (kind.kind < api::Kind::kPeerAuthentication) server.AddCollection(kind.paths[0]);
    server.Put(kPods, Pod("web", "10.1.0.1"));
  }
  void Start() { scope.Spawn(source.Run(changed, scope.stop())); }
  // Lets time pass and takes what changes, until it is so, for ten minutes at most.
  Task<bool> Until(absl::FunctionRef<bool()> so) {
    for (int i = 0; i < 6000 && !so(); ++i) {
      (void)co_await loop.Sleep(absl::Milliseconds(100), {});
      store.Apply(source.Poll());
    }
    co_return so();
  }
  Task<bool> Pass(absl::Duration duration) {
    const MonotonicTime end = loop.Now() + duration;
    co_return co_await Until([&] { return loop.Now() >= end; });
  }
  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }

  io::Simulation simulation{1};
  io::Loop& loop;
  metrics::Registry registry;
  kube::FakeApiServer server;
  kube::ApiClient client;
  KubernetesSource source;
  api::ObjectStore store;
  Event changed;
  Scope scope;

 private:
  Task<void> RunBody(Task<void> (*body)(World&)) {
    co_await body(*this);
    co_await scope.Drain();
    co_await client.Shutdown();
    co_await server.End();
  }
};

TEST(KubernetesSource, GivesNothingBeforeEveryInstalledKindIsRead) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Install();
    world.server.Put(kPolicies, Policy("p", "DENY"));
    world.server.forbidden.insert(kPolicies);
    world.Start();
    co_await world.Pass(absl::Minutes(2));
    EXPECT_FALSE(world.source.synced());
    EXPECT_EQ(world.store.size(), 0U);
    CO_ASSERT_TRUE(world.source.problems().size() == 1);
    EXPECT_THAT(world.source.problems()[0].ToString(),
                testing::AllOf(HasSubstr("AuthorizationPolicy: the server answers 403 Forbidden"),
                               HasSubstr("nothing is served until it can be read")));
    world.server.forbidden.clear();
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 2; }));
    EXPECT_TRUE(world.source.synced());
    co_await world.Pass(absl::Seconds(20));
    EXPECT_THAT(world.source.problems(), IsEmpty());
    EXPECT_EQ(world.server.connections, 1) << "one connection for all kinds";
  });
}

TEST(KubernetesSource, TakesKindsThatAreInstalledLaterInWhicheverVersion) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Install();
    world.Start();
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 1; }));
    world.server.Put(kOldPolicies, Policy("p", "DENY"));
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 2; }));
    EXPECT_THAT(world.source.problems(), IsEmpty());
  });
}

TEST(KubernetesSource, FollowsChangesAndSaysWhatIsRefused) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Install();
    world.server.Put(kPolicies, Policy("p", "ALLOW"));
    world.Start();
    const auto policy = [&] { return world.store.Find<api::AuthorizationPolicy>({"shop", "p"}); };
    EXPECT_TRUE(co_await world.Until([&] { return policy() != nullptr; }));
    world.changed.Reset();
    world.server.Put(kPolicies, Policy("p", "NONSENSE"));
    EXPECT_TRUE(co_await world.changed.Wait({}));
    EXPECT_TRUE(co_await world.Until([&] { return world.source.problems().size() == 1; }));
    EXPECT_EQ(policy()->action, api::AuthorizationPolicy::Action::kAllow);
    world.server.Delete(kPolicies, "shop", "p");
    EXPECT_TRUE(co_await world.Until([&] { return policy() == nullptr; }));
    EXPECT_THAT(world.source.problems(), IsEmpty());
  });
}

TEST(KubernetesSource, SaysThatAKindHasNoEffectAndWaitsForNone) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string requests = "/apis/security.istio.io/v1/requestauthentications";
    const std::string routes = "/apis/gateway.networking.k8s.io/v1/httproutes";
    world.Install();
    world.server.Put(requests, Object("security.istio.io/v1", "RequestAuthentication", "jwt"));
    world.server.Put(routes, Object("gateway.networking.k8s.io/v1", "HTTPRoute", "r"));
    world.server.forbidden.insert(routes);
    world.Start();
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 1; }));
    co_await world.Pass(absl::Minutes(5));
    CO_ASSERT_TRUE(world.source.problems().size() == 1);
    EXPECT_EQ(world.source.problems()[0].ToString(),
              "RequestAuthentication: this kind is not supported, and there is one object of it; "
              "it has no effect");
  });
}

TEST(KubernetesSource, AServerThatIsAwayIsOneProblemAfterAWhileAndChangesNothing) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Install();
    world.Start();
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 1; }));
    world.server.Disconnect();
    co_await world.Pass(absl::Seconds(3));
    EXPECT_THAT(world.source.problems(), IsEmpty()) << "it went over by itself";
    world.server.down = true;
    world.server.Disconnect();
    co_await world.Pass(absl::Minutes(1));
    CO_ASSERT_TRUE(world.source.problems().size() == 1);
    EXPECT_THAT(world.source.problems()[0].ToString(),
                testing::AllOf(HasSubstr("9 kinds: connecting to the API server"),
                               HasSubstr("the last good version stays")));
    world.server.Delete(kPods, "shop", "web");
    world.server.down = false;
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 0; }));
    co_await world.Pass(absl::Seconds(20));
    EXPECT_THAT(world.source.problems(), IsEmpty());
    EXPECT_THAT(world.registry.Expose(),
                HasSubstr("heddle_controller_kube_lists_total{kind=\"Pod\"} 1\n"));
  });
}

// The promise of operations: what kubectl prints, as files, is the same mesh.
TEST(KubernetesSource, ADumpAsADirectoryGivesTheSameResources) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Install();
    Json service = Object("v1", "Service", "web");
    service["spec"] = {{"clusterIP", "10.96.0.1"},
                       {"clusterIPs", {"10.96.0.1"}},
                       {"selector", {{"app", "web"}}},
                       {"ports", Json::array({{{"port", 80}, {"targetPort", 8080}}})}};
    Json slice = Object("discovery.k8s.io/v1", "EndpointSlice", "web-x");
    slice["metadata"]["labels"]["kubernetes.io/service-name"] = "web";
    slice["addressType"] = "IPv4";
    slice["ports"] = Json::array({{{"port", 8080}, {"protocol", "TCP"}}});
    slice["endpoints"] = Json::array({{{"addresses", {"10.1.0.1"}},
                                       {"conditions", {{"ready", true}}},
                                       {"targetRef", {{"kind", "Pod"}, {"name", "web"}}}}});
    Json node = Object("v1", "Node", "n1");
    node["metadata"].erase("namespace");
    Json name_space = Object("v1", "Namespace", "shop");
    name_space["metadata"].erase("namespace");
    Json peer = Object("security.istio.io/v1", "PeerAuthentication", "default");
    peer["spec"] = {{"mtls", {{"mode", "STRICT"}}},
                    {"selector", {{"matchLabels", {{"app", "web"}}}}}};
    const std::vector<std::pair<std::string, Json>> objects = {
        {"/api/v1/services", service},
        {"/apis/discovery.k8s.io/v1/endpointslices", slice},
        {"/api/v1/nodes", node},
        {"/api/v1/namespaces", name_space},
        {kPeers, peer},
        {kPolicies, Policy("good", "DENY")},
        {kPolicies, Policy("bad", "NONSENSE")},
        {kPods, Pod("pay", "10.1.0.2")}};
    Json dump = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", {Pod("web", "10.1.0.1")}}};
    for (const auto& [path, object] : objects) {
      world.server.Put(path, object);
      dump["items"].push_back(object);
    }
    const TemporaryDirectory files;
    files.Write("dump.json", dump.dump(2));
    auto directory = DirectorySource::Open(world.loop, files.path());
    CO_ASSERT_TRUE(directory.ok());
    api::ObjectStore from_files;
    from_files.Apply((*directory)->Poll());

    world.Start();
    EXPECT_TRUE(co_await world.Until([&] { return world.store.size() == 9; }));
    EXPECT_EQ(from_files.size(), 9U);
    const translate::CapturedPods captured = {{"n1", {"uid-web"}}};
    const auto api_side = translate::Translate(world.store, captured, {});
    const auto file_side = translate::Translate(from_files, captured, {});
    EXPECT_FALSE(api_side.addresses.empty());
    EXPECT_FALSE(api_side.authorizations.empty());
    EXPECT_EQ(api_side.addresses, file_side.addresses);
    EXPECT_EQ(api_side.authorizations, file_side.authorizations);
    EXPECT_EQ(api_side.node_pods, file_side.node_pods);
    EXPECT_EQ(api_side.identities, file_side.identities);
    EXPECT_EQ(api_side.statuses, file_side.statuses);
  });
}

}  // namespace
}  // namespace heddle::controlplane::sources
