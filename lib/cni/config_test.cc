// Versions, environment, configuration and results: what the runtime hands over and gets back.

#include <gtest/gtest.h>

#include "lib/cni/error.h"
#include "lib/cni/invocation.h"
#include "lib/cni/network_config.h"
#include "lib/cni/prev_result.h"
#include "lib/cni/version.h"

namespace heddle::cni {
namespace {

Environment AddEnvironment() {
  return {.command = "ADD",
          .container_id = "c1",
          .netns = "/run/netns/a",
          .ifname = "eth0",
          .args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;"
                  "K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u-1",
          .path = "/opt/cni/bin"};
}

int CodeOf(const auto& result) { return result ? 0 : static_cast<int>(result.error().code); }

TEST(Version, AllowsEachCommandFromItsVersionOn) {
  const struct {
    const char* version;
    Command command;
    int code;
  } cases[] = {
      {"0.3.0", Command::kAdd, 1},   {"0.3.1", Command::kAdd, 0},    {"1.1.0", Command::kAdd, 0},
      {"1.2.0", Command::kAdd, 1},   {"", Command::kAdd, 1},         {"0.3.1", Command::kDel, 0},
      {"0.3.1", Command::kCheck, 1}, {"0.4.0", Command::kCheck, 0},  {"1.0.0", Command::kStatus, 1},
      {"1.0.0", Command::kGc, 1},    {"1.1.0", Command::kStatus, 0}, {"1.1.0", Command::kGc, 0},
  };
  for (const auto& c : cases) EXPECT_EQ(CodeOf(CheckVersion(c.version, c.command)), c.code) << c.version;
}

TEST(Version, AnswersWithTheListAndTheVersionAsked) {
  EXPECT_EQ(VersionJson("0.4.0"),
            "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
  EXPECT_TRUE(VersionJson("9.9.9").starts_with("{\"cniVersion\":\"1.1.0\""));
}

TEST(Error, IsPrintedAsTheSpecificationSays) {
  EXPECT_EQ(ErrorJson("1.0.0", {.code = ErrorCode::kTryAgainLater, .msg = "a \"b\""}),
            "{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"a \\\"b\\\"\"}\n");
}

TEST(Invocation, ReadsWhatARuntimePasses) {
  const auto invocation = ParseInvocation(AddEnvironment());
  ASSERT_TRUE(invocation);
  EXPECT_EQ(*invocation, (Invocation{.command = Command::kAdd,
                                     .container_id = "c1",
                                     .netns = "/run/netns/a",
                                     .ifname = "eth0",
                                     .pod = {.pod_namespace = "shop", .name = "web-0", .uid = "u-1"}}));
}

TEST(Invocation, RefusesWhatIsMissingOrMalformed) {
  const auto with = [](auto change) {
    Environment environment = AddEnvironment();
    change(environment);
    return CodeOf(ParseInvocation(environment));
  };
  EXPECT_EQ(with([](Environment& e) { e.command = ""; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.command = "add"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.container_id = ""; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.container_id = "../x"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.container_id = std::string(257, 'a'); }), 4);
  EXPECT_EQ(with([](Environment& e) { e.netns = ""; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.ifname = ""; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.ifname = "a/b"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.ifname = "sixteen-letters-"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.args = "K8S_POD_NAME"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.args = "K8S_POD_NAMESPACE=../etc"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.args = "K8S_POD_UID=a b"; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.args = ";;"; }), 0);
  EXPECT_EQ(with([](Environment& e) { e.command = "CHECK", e.netns = ""; }), 4);
  EXPECT_EQ(with([](Environment& e) { e.command = "GC", e.path = ""; }), 4);
}

TEST(Invocation, NeedsNoNetnsForDelAndNothingForStatusAndVersion) {
  EXPECT_TRUE(ParseInvocation({.command = "DEL", .container_id = "c1", .ifname = "eth0"}));
  EXPECT_TRUE(ParseInvocation({.command = "STATUS"}));
  EXPECT_TRUE(ParseInvocation({.command = "VERSION"}));
  EXPECT_TRUE(ParseInvocation({.command = "GC", .path = "/opt/cni/bin"}));
}

TEST(NetworkConfig, HasDefaultsAndIgnoresForeignKeys) {
  const auto config = ParseNetworkConfig(R"({"cniVersion":"1.0.0","name":"pods","type":"heddle-cni","x":{"y":[1]}})");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->network, "pods");
  EXPECT_EQ(config->run_dir, "/run/heddle");
  EXPECT_EQ(config->socket, "/run/heddle/cni.sock");
  EXPECT_FALSE(config->has_prev_result);
}

TEST(NetworkConfig, ReadsOurKeysAndTheListOfGc) {
  const auto config = ParseNetworkConfig(
      R"({"cniVersion":"1.1.0","name":"pods","runDir":"/r","exemptNamespaces":["kube-system"],)"
      R"("cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}],"prevResult":{"ips":[]}})");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->socket, "/r/cni.sock");
  EXPECT_EQ(config->exempt_namespaces, std::vector<std::string>{"kube-system"});
  EXPECT_EQ(config->valid_attachments, (std::vector<Attachment>{{.container_id = "c1", .ifname = "eth0"}}));
  EXPECT_EQ(config->prev_result.raw, R"({"ips":[]})");
}

TEST(NetworkConfig, RefusesBrokenInputWithTheRightCode) {
  const struct {
    const char* text;
    int code;
  } cases[] = {
      {"", 6},
      {"[]", 6},
      {"{\"a\":1,\"a\":2}", 6},
      {"{\"cniVersion\":1}", 7},
      {"{\"runDir\":\"relative\"}", 7},
      {"{\"socket\":\"relative\"}", 7},
      {"{\"runDir\":\"/a\\u0000b\"}", 7},
      {"{\"exemptNamespaces\":\"kube-system\"}", 7},
      {"{\"exemptNamespaces\":[\"a b\"]}", 7},
      {"{\"prevResult\":[]}", 7},
      {"{\"cni.dev/valid-attachments\":{}}", 7},
      {"{\"cni.dev/valid-attachments\":[{\"ifname\":\"eth0\"}]}", 7},
  };
  for (const auto& c : cases) EXPECT_EQ(CodeOf(ParseNetworkConfig(c.text)), c.code) << c.text;
  EXPECT_EQ(CodeOf(ParseNetworkConfig("{\"socket\":\"/" + std::string(107, 'a') + "\"}")), 7);
}

TEST(EchoResult, ReplacesTheVersionAtTopLevelAndNothingElse) {
  const struct {
    const char* result;
    const char* want;
  } cases[] = {
      {R"({ "cniVersion" : "0.4.0",  "x":{"cniVersion":"0.4.0"}, "n":1.50e0 })",
       R"({ "cniVersion" : "1.0.0",  "x":{"cniVersion":"0.4.0"}, "n":1.50e0 })"},
      {R"({"ips":[]})", R"({"cniVersion":"1.0.0","ips":[]})"},
      {"{}", R"({"cniVersion":"1.0.0"})"},
      {R"({"cniVersion":null})", R"({"cniVersion":"1.0.0"})"},
  };
  for (const auto& c : cases) EXPECT_EQ(EchoResult(*ParseJson(c.result), "1.0.0"), c.want) << c.result;
}

TEST(ContainerAddresses, TakesThoseOfTheInterface) {
  const char* result = R"({"interfaces":[{"name":"br0"},{"name":"veth1"},{"name":"eth0","sandbox":"/run/netns/a"},
      {"name":"net1","sandbox":"/run/netns/a"},{"name":"eth0"}],"ips":[
      {"version":"4","address":"10.0.1.2/24","interface":2},
      {"address":"fd00:0:0::2/64","interface":2},{"address":"10.9.0.2/24","interface":3},
      {"address":"10.9.0.3/24","interface":4},{"address":"10.9.0.9/24","interface":9},{"address":"10.0.1.3/24"}]})";
  EXPECT_EQ(ContainerAddresses(*ParseJson(result), "eth0"),
            (std::vector<std::string>{"10.0.1.2", "fd00::2", "10.0.1.3"}));
}

TEST(ContainerAddresses, RefusesMalformedEntries) {
  for (const char* result : {R"({"ips":{}})", R"({"ips":[1]})", R"({"ips":[{}]})", R"({"ips":[{"address":"x/24"}]})",
                             R"({"ips":[{"address":"10.0.0.1/8","interface":"0"}]})", R"({"interfaces":1})"}) {
    EXPECT_EQ(CodeOf(ContainerAddresses(*ParseJson(result), "eth0")), 6) << result;
  }
  EXPECT_EQ(ContainerAddresses(*ParseJson("{}"), "eth0"), std::vector<std::string>{});
}

}  // namespace
}  // namespace heddle::cni
