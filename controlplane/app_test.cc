#include "controlplane/app.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "controlplane/testing/controller.h"
#include "controlplane/translate/resource.h"
#include "lib/base/version.h"
#include "lib/grpc/protobuf.h"
#include "lib/io/socket.h"
#include "lib/io/testing/co_test.h"
#include "lib/tls/certificate.h"
#include "lib/tls/signing_request.h"
#include "proto/ca.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

namespace heddle::controlplane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kSign[] = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
constexpr char kReport[] = "/heddle.node.v1.CaptureReports/Report";
constexpr char kDiscovery[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

// What to subscribe to.
const std::set<std::string> kAddresses = {std::string(translate::kAddressType)};
const std::set<std::string> kNodePods = {std::string(translate::kNodePodType)};
const std::set<std::string> kAddressesAndNodePods = {std::string(translate::kAddressType),
                                                     std::string(translate::kNodePodType)};

std::string PodYaml(const std::string& name, const std::string& node, const std::string& address) {
  return absl::StrCat("---\napiVersion: v1\nkind: Pod\nmetadata: {name: ", name,
                      ", namespace: shop, uid: uid-", name,
                      ", labels: {istio.io/dataplane-mode: ambient}}\nspec: {nodeName: ", node,
                      ", serviceAccountName: ", name, "}\nstatus: {podIP: ", address, "}\n");
}

// Two nodes with a pod each.
std::string TwoNodes() {
  return absl::StrCat(
      "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\n"
      "apiVersion: v1\nkind: Node\nmetadata: {name: n2}\n",
      PodYaml("cart", "n1", "10.0.1.1"), PodYaml("pay", "n2", "10.0.2.1"));
}

std::vector<std::string> NamesOf(const Subscriber::Response& response) {
  std::vector<std::string> names;
  for (const auto& resource : response.resources()) names.push_back(resource.name());
  return names;
}

istio::workload::Workload WorkloadIn(const Subscriber::Response& response, int index = 0) {
  istio::workload::Address address;
  CHECK(index < response.resources_size());
  CHECK(address.ParseFromString(response.resources(index).resource().value()));
  return address.workload();
}

istio::v1::auth::IstioCertificateRequest SigningFor(const std::string& identity) {
  const tls::PrivateKey key = tls::PrivateKey::Generate();
  const auto wish = tls::SpiffeId::Create("cluster.local", "kube-system", "admin");
  istio::v1::auth::IstioCertificateRequest request;
  request.set_csr(tls::CreateSigningRequest(key, *wish));
  request.set_validity_duration(3600);
  (*request.mutable_metadata()->mutable_fields())["ImpersonatedIdentity"].set_string_value(
      identity);
  return request;
}

Task<absl::StatusOr<istio::v1::auth::IstioCertificateResponse>> Sign(Controller& controller,
                                                                     std::string node,
                                                                     std::string identity) {
  const auto request = SigningFor(identity);
  co_return co_await grpc::CallTyped<istio::v1::auth::IstioCertificateResponse>(
      controller.channel, kSign, request, controller.As(node), {});
}

node::v1::CaptureReport ReportOf(const std::string& node, uint64_t sequence,
                                 std::initializer_list<std::string> pods) {
  node::v1::CaptureReport report;
  report.set_node(node);
  report.set_sequence(sequence);
  for (const std::string& name : pods) {
    node::v1::CapturedPod& pod = *report.add_pods();
    pod.set_uid("uid-" + name);
    pod.set_namespace_("shop");
    pod.set_name(name);
    pod.add_addresses(std::string("\x0a\x00\x01\x01", 4));
    pod.set_how("ebpf");
    pod.set_captured_since_ns(1'700'000'000'000'000'000);
  }
  return report;
}

// Sends a report and waits for its acknowledgement.
Task<node::v1::CaptureAck> Exchange(grpc::ClientCall& call, node::v1::CaptureReport report) {
  const std::string bytes = report.SerializeAsString();
  EXPECT_TRUE((co_await call.Send(bytes)).ok());
  const auto answer = co_await call.Receive();
  node::v1::CaptureAck ack;
  EXPECT_TRUE(answer.has_value() && ack.ParseFromString(*answer));
  co_return ack;
}

CO_TEST(Controller, RefusesEveryCallWithoutANodesToken) {
  Controller controller(loop, TwoNodes());
  const std::string good = absl::StrCat("Bearer ", controller.Token("n1"));
  const grpc::Metadata cases[] = {
      {},
      {{"authorization", ""}},
      {{"authorization", controller.Token("n1")}},
      {{"authorization", "Bearer"}},
      {{"authorization", absl::StrCat("Basic ", controller.Token("n1"))}},
      {{"authorization", absl::StrCat("Bearer ", std::string(64, '0'))}},
      {{"authorization", good}, {"authorization", good}},
  };
  for (const char* method : {kDiscovery, kReport, kSign}) {
    for (const grpc::Metadata& metadata : cases) {
      grpc::CallOptions options{.metadata = metadata, .timeout = kTestTimeout};
      auto call = co_await controller.channel.Open(method, std::move(options), {});
      CO_ASSERT_TRUE(call.ok());
      const absl::Status status = co_await (*call)->Finish();
      EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << method << status;
    }
  }
  co_await controller.End();
}

CO_TEST(Controller, ServesANodeTheMeshAndItsOwnPods) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddressesAndNodePods);
    CO_ASSERT_TRUE(subscriber.ok());
    std::map<std::string, std::vector<std::string>> served;
    for (int i = 0; i < 2; ++i) {
      const auto response = co_await (*subscriber)->Next();
      CO_ASSERT_TRUE(response.has_value());
      served[response->type_url()] = NamesOf(*response);
    }
    EXPECT_THAT(served[std::string(translate::kNodePodType)], ElementsAre("uid-cart"));
    EXPECT_THAT(served[std::string(translate::kAddressType)],
                ElementsAre("Kubernetes//Pod/shop/cart", "Kubernetes//Pod/shop/pay"));
  }
  co_await controller.End();
}

CO_TEST(Controller, SendsOnlyWhatAChangedFileChanges) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    const auto first = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(first.has_value());
    controller.config.Replace("more.yaml", PodYaml("new", "n2", "10.0.2.2"));
    const auto added = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(added.has_value());
    EXPECT_THAT(NamesOf(*added), ElementsAre("Kubernetes//Pod/shop/new"));
    std::filesystem::remove(controller.config / "more.yaml");
    const auto removed = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(removed.has_value());
    EXPECT_EQ(removed->resources_size(), 0);
    EXPECT_THAT(removed->removed_resources(), ElementsAre("Kubernetes//Pod/shop/new"));
  }
  co_await controller.End();
}

CO_TEST(Controller, MakesOneTranslationAndOneResponseOfABurstOfFiles) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    const auto first = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(first.has_value());
    for (int i = 0; i < 50; ++i) {
      const std::string name = absl::StrCat("burst-", i);
      controller.config.Replace(name + ".yaml", PodYaml(name, "n2", absl::StrCat("10.0.3.", i)));
    }
    const auto burst = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(burst.has_value());
    EXPECT_EQ(burst->resources_size(), 50);
  }
  const auto metrics = co_await controller.Get("/metrics");
  EXPECT_THAT(metrics.body, HasSubstr("heddle_controller_translations_total 2\n"));
  co_await controller.End();
}

CO_TEST(Controller, AnnouncesAPodAsHboneOnceItsOwnNodeHasReportedIt) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n2", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    const auto first = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(first.has_value());
    auto reports = co_await controller.channel.Open(kReport, controller.As("n1"), {});
    CO_ASSERT_TRUE(reports.ok());
    auto report = ReportOf("n1", 1, {"cart", "pay", "nobody"});
    const auto ack = co_await Exchange(**reports, std::move(report));
    EXPECT_EQ(ack.sequence(), 1u);
    EXPECT_THAT(ack.refused(), ElementsAre(HasSubstr("uid-pay: no live pod"),
                                           HasSubstr("uid-nobody: no live pod")));
    const auto announced = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(announced.has_value());
    const istio::workload::Workload workload = WorkloadIn(*announced);
    EXPECT_EQ(workload.name(), "cart");
    EXPECT_EQ(workload.tunnel_protocol(), istio::workload::HBONE);

    auto empty = ReportOf("n1", 2, {});
    co_await Exchange(**reports, std::move(empty));
    const auto withdrawn = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(withdrawn.has_value());
    EXPECT_EQ(WorkloadIn(*withdrawn).tunnel_protocol(), istio::workload::NONE);
  }
  co_await controller.End();
}

CO_TEST(Controller, KeepsWhatANodeHasReportedWhenItsStreamBreaks) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n2", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    co_await (*subscriber)->Next();
    auto reports = co_await controller.channel.Open(kReport, controller.As("n1"), {});
    CO_ASSERT_TRUE(reports.ok());
    auto report = ReportOf("n1", 1, {"cart"});
    co_await Exchange(**reports, std::move(report));
    co_await (*subscriber)->Next();
    EXPECT_TRUE((co_await (*reports)->HalfClose()).ok());
    EXPECT_TRUE((co_await (*reports)->Finish()).ok());
    controller.config.Replace("more.yaml", PodYaml("new", "n2", "10.0.2.2"));
    const auto next = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(next.has_value());
    EXPECT_THAT(NamesOf(*next), ElementsAre("Kubernetes//Pod/shop/new")) << "cart stays HBONE";
  }
  co_await controller.End();
}

CO_TEST(Controller, KeepsWhatNodesHaveReportedAcrossARestart) {
  Controller controller(loop, TwoNodes());
  {
    auto reports = co_await controller.channel.Open(kReport, controller.As("n1"), {});
    CO_ASSERT_TRUE(reports.ok());
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    co_await (*subscriber)->Next();
    auto report = ReportOf("n1", 1, {"cart"});
    co_await Exchange(**reports, std::move(report));
    co_await (*subscriber)->Next();
  }
  co_await controller.Restart();
  {
    auto subscriber = co_await Subscriber::Open(controller, "n2", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    const auto first = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(first.has_value());
    CO_ASSERT_TRUE(first->resources_size() == 2);
    EXPECT_EQ(WorkloadIn(*first, 0).name(), "cart");
    EXPECT_EQ(WorkloadIn(*first, 0).tunnel_protocol(), istio::workload::HBONE);
    EXPECT_EQ(WorkloadIn(*first, 1).tunnel_protocol(), istio::workload::NONE);
  }
  co_await controller.End();
}

CO_TEST(Controller, RefusesATokenThatSpeaksForAnotherNode) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses, "n2");
    CO_ASSERT_TRUE(subscriber.ok());
    const absl::Status discovery = co_await (*subscriber)->call().Finish();
    EXPECT_EQ(discovery.code(), absl::StatusCode::kPermissionDenied) << discovery;
    auto reports = co_await controller.channel.Open(kReport, controller.As("n1"), {});
    CO_ASSERT_TRUE(reports.ok());
    const std::string bytes = ReportOf("n2", 1, {"pay"}).SerializeAsString();
    EXPECT_TRUE((co_await (*reports)->Send(bytes)).ok());
    const absl::Status reported = co_await (*reports)->Finish();
    EXPECT_EQ(reported.code(), absl::StatusCode::kPermissionDenied) << reported;
  }
  co_await controller.End();
}

CO_TEST(Controller, RefusesAReportWithWhatIsNoUid) {
  Controller controller(loop, TwoNodes());
  for (const std::string& uid : {std::string(), std::string(65, 'a'), std::string("a\nb")}) {
    node::v1::CaptureReport report = ReportOf("n1", 1, {"web"});
    report.add_uncaptured()->set_uid(uid);
    auto call = co_await controller.channel.Open(kReport, controller.As("n1"), {});
    CO_ASSERT_TRUE(call.ok());
    const std::string bytes = report.SerializeAsString();
    EXPECT_TRUE((co_await (*call)->Send(bytes)).ok());
    EXPECT_EQ((co_await (*call)->Finish()).code(), absl::StatusCode::kInvalidArgument) << uid;
  }
  co_await controller.End();
}

CO_TEST(Controller, SignsForLivePodsOfTheNodeOnly) {
  Controller controller(loop, TwoNodes());
  const auto signed_ = co_await Sign(controller, "n1", "spiffe://cluster.local/ns/shop/sa/cart");
  CO_ASSERT_TRUE(signed_.ok());
  EXPECT_EQ(signed_->cert_chain_size(), 2);
  EXPECT_EQ(signed_->cert_chain(1), controller.state.Read("root-cert.pem"));
  const auto leaf = tls::ParseCertificatesPem(signed_->cert_chain(0));
  CO_ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(tls::ClaimedSpiffeId(leaf->front())->ToString(),
            "spiffe://cluster.local/ns/shop/sa/cart");
  const struct {
    const char* node;
    const char* identity;
    absl::StatusCode code;
  } refused[] = {
      {"n2", "spiffe://cluster.local/ns/shop/sa/cart", absl::StatusCode::kPermissionDenied},
      {"n1", "spiffe://cluster.local/ns/kube-system/sa/admin", absl::StatusCode::kPermissionDenied},
      {"n1", "not a SPIFFE id", absl::StatusCode::kInvalidArgument},
      {"n1", "", absl::StatusCode::kInvalidArgument},
  };
  for (const auto& test : refused) {
    const auto response = co_await Sign(controller, test.node, test.identity);
    EXPECT_EQ(response.status().code(), test.code) << test.node << " " << test.identity;
  }
  co_await controller.End();
}

CO_TEST(Controller, SignsNoMoreForAPodThatIsTerminalOrGone) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kNodePods);
    CO_ASSERT_TRUE(subscriber.ok());
    co_await (*subscriber)->Next();
    const std::string terminal = PodYaml("cart", "n1", "10.0.1.1, phase: Succeeded");
    controller.config.Replace("objects.yaml",
                              "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n" + terminal);
    const auto gone = co_await (*subscriber)->Next();
    CO_ASSERT_TRUE(gone.has_value());
    EXPECT_THAT(gone->removed_resources(), ElementsAre("uid-cart"));
  }
  const auto response = co_await Sign(controller, "n1", "spiffe://cluster.local/ns/shop/sa/cart");
  EXPECT_EQ(response.status().code(), absl::StatusCode::kPermissionDenied);
  co_await controller.End();
}

CO_TEST(Controller, GivesANewNodeItsToken) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    co_await (*subscriber)->Next();
    controller.config.Replace("n3.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: n3}\n" +
                                             PodYaml("third", "n3", "10.0.3.1"));
    co_await (*subscriber)->Next();
  }
  const auto response = co_await Sign(controller, "n3", "spiffe://cluster.local/ns/shop/sa/third");
  EXPECT_TRUE(response.ok()) << response.status();
  co_await controller.End();
}

CO_TEST(Controller, ShowsNodesWithTheirCapturedPods) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    co_await (*subscriber)->Next();
    auto reports = co_await controller.channel.Open(kReport, controller.As("n1"), {});
    CO_ASSERT_TRUE(reports.ok());
    auto report = ReportOf("n1", 1, {"cart", "pay"});
    co_await Exchange(**reports, std::move(report));
    const auto page = co_await controller.Get("/debug/nodes");
    const auto nodes = nlohmann::json::parse(page.body);
    CO_ASSERT_TRUE(nodes.size() == 2);
    EXPECT_EQ(nodes[0].at("node"), "n1");
    EXPECT_EQ(nodes[0].at("connected"), true);
    EXPECT_EQ(nodes[0].at("agentVersion"), "") << "that of an agent that does not say it";
    EXPECT_EQ(nodes[0].at("controllerVersion"), kVersion);
    CO_ASSERT_TRUE(nodes[0].at("pods").size() == 1);
    const auto& pod = nodes[0].at("pods")[0];
    EXPECT_EQ(pod.at("namespace"), "shop");
    EXPECT_EQ(pod.at("name"), "cart");
    EXPECT_EQ(pod.at("uid"), "uid-cart");
    EXPECT_EQ(pod.at("addresses"), nlohmann::json({"10.0.1.1"}));
    EXPECT_EQ(pod.at("how"), "ebpf");
    EXPECT_EQ(pod.at("capturedSince"), "2023-11-14T22:13:20+00:00");
    EXPECT_EQ(nodes[1].at("node"), "n2");
    EXPECT_EQ(nodes[1].at("connected"), false);
  }
  co_await controller.End();
}

CO_TEST(Controller, ShowsWhatIsRefusedAndThatItIsReady) {
  Controller controller(loop, TwoNodes() +
                                  "---\napiVersion: security.istio.io/v1\n"
                                  "kind: AuthorizationPolicy\n"
                                  "metadata: {name: typo, namespace: shop}\nspec: {rulez: []}\n");
  const auto objects = co_await controller.Get("/debug/objects");
  EXPECT_THAT(objects.body, HasSubstr("shop/typo"));
  EXPECT_THAT(objects.body, HasSubstr("rulez"));
  EXPECT_THAT(objects.body, HasSubstr("everything it selects is denied"));
  const auto ready = co_await controller.Get("/healthz/ready");
  EXPECT_EQ(ready.status, 200);
  const auto unknown = co_await controller.Get("/nothing");
  EXPECT_EQ(unknown.status, 404);
  co_await controller.End();
}

CO_TEST(Controller, EndsOpenStreamsWhenItStops) {
  Controller controller(loop, TwoNodes());
  {
    auto subscriber = co_await Subscriber::Open(controller, "n1", kAddresses);
    CO_ASSERT_TRUE(subscriber.ok());
    co_await (*subscriber)->Next();
    controller.running->RequestStop();
    const auto next = co_await (*subscriber)->Next();
    EXPECT_FALSE(next.has_value());
    const absl::Status status = co_await (*subscriber)->call().Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
  co_await controller.End();
}

std::string WhyNot(io::Loop& loop, const Config& config) {
  const auto app = App::Create(loop, config);
  return app.ok() ? "started" : std::string(app.status().message());
}

CO_TEST(Controller, SaysWhyItCannotStart) {
  const TemporaryDirectory config;
  const TemporaryDirectory state;
  Config broken = Controller::ConfigFor(config, state);
  broken.config_dir = config / "missing";
  EXPECT_THAT(WhyNot(loop, broken), HasSubstr("--config-dir: "));
  broken = Controller::ConfigFor(config, state);
  broken.state_dir = state / "no/such";
  EXPECT_THAT(WhyNot(loop, broken), HasSubstr("--state-dir: "));
  broken = Controller::ConfigFor(config, state);
  broken.serve.server_names = {"not a name"};
  EXPECT_THAT(WhyNot(loop, broken), HasSubstr("--server-names: "));
  const auto first = App::Create(loop, Controller::ConfigFor(config, state));
  CO_ASSERT_TRUE(first.ok());
  Config second = Controller::ConfigFor(config, state);
  second.serve.listen = (*first)->address();
  EXPECT_THAT(WhyNot(loop, second), HasSubstr("is another controller running here? --listen"));
}

// Two TLS libraries in one process take each other's symbols.
CO_TEST(Controller, HasNoOpenSslInItsProcess) {
  Controller controller(loop, TwoNodes());
  const auto signed_ = co_await Sign(controller, "n1", "spiffe://cluster.local/ns/shop/sa/cart");
  EXPECT_TRUE(signed_.ok());
  std::ifstream maps("/proc/self/maps");
  size_t lines = 0;
  for (std::string line; std::getline(maps, line); ++lines) {
    EXPECT_THAT(line, testing::Not(testing::AnyOf(HasSubstr("libssl"), HasSubstr("libcrypto"))));
  }
  EXPECT_GT(lines, 0u);
  co_await controller.End();
}

CO_TEST(App, ShowsWhatIsPublished) {
  Controller controller(loop, TwoNodes());
  const auto json = nlohmann::json::parse((co_await controller.Get("/debug/resources")).body);
  EXPECT_EQ(json.at("addresses").size(), 2U);
  EXPECT_TRUE(json.at("nodePods").at("n1").contains("uid-cart"));
  EXPECT_EQ(json.at("nodePods").at("n2").at("uid-pay").get<std::string>().size(), 32U);
  co_await controller.End();
}

// An API server that nobody has started: a closed port.
constexpr char kNobody[] =
    "current-context: x\n"
    "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
    "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority: none}}]\n"
    "users: [{name: u, user: {token: t}}]\n";

CO_TEST(App, IsNotReadyAndServesNobodyBeforeTheClusterIsRead) {
  const TemporaryDirectory files;
  const TemporaryDirectory state;
  files.Write("kubeconfig", kNobody);
  Config config = Controller::ConfigFor(files, state);
  config.source = SourceKind::kKubernetes;
  config.config_dir.clear();
  config.kubeconfig = files / "kubeconfig";
  auto app = App::Create(loop, config);
  CO_ASSERT_TRUE(app.ok());
  Scope running(loop);
  running.Spawn((*app)->Run(running.stop()));
  EXPECT_EQ((co_await GetPage(loop, (*app)->debug_address(), "/healthz/ready")).status, 503);
  io::KernelNetwork network;
  io::ConnectOptions options{.to = (*app)->address(), .bind = std::nullopt, .socket = UniqueFd()};
  auto connection = co_await network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(connection.has_value());
  Deadline soon(loop, {}, absl::Milliseconds(100));
  EXPECT_FALSE((co_await (*connection)->Read(1, soon.token())).has_value());
  co_await running.Drain();
}

TEST(App, SaysWhatIsWrongWithAKubeconfig) {
  const TemporaryDirectory files;
  const TemporaryDirectory state;
  Config config = Controller::ConfigFor(files, state);
  config.source = SourceKind::kKubernetes;
  config.kubeconfig = files / "none";
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  const auto app = App::Create(loop, config);
  EXPECT_THAT(std::string(app.status().message()), HasSubstr("--source kubernetes: kubeconfig: "));
}

}  // namespace
}  // namespace heddle::controlplane
