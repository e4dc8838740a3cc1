#include "controlplane/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::controlplane {
namespace {

using testing::HasSubstr;

Result<Invocation, daemon::Exit> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "heddle-controller");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

std::vector<const char*> With(std::initializer_list<const char*> more) {
  std::vector<const char*> arguments = {"run", "--config-dir", "c", "--state-dir", "s"};
  arguments.insert(arguments.end(), more);
  return arguments;
}

TEST(ControllerConfig, NeedsTwoDirectoriesAndHasDefaultsForTheRest) {
  const auto parsed = Parse(With({}));
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed->config.serve.listen.ToString(), "[::]:15012");
  EXPECT_EQ(parsed->config.serve.debug_listen.ToString(), "[::]:15014");
  EXPECT_THAT(parsed->config.serve.server_names, testing::ElementsAre("heddle-controller"));
  EXPECT_EQ(parsed->config.mesh.trust_domain, "cluster.local");
}

TEST(ControllerConfig, TakesSeveralServerNames) {
  const auto parsed = Parse(With({"--server-names", "heddle-controller,heddle.svc"}));
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_THAT(parsed->config.serve.server_names,
              testing::ElementsAre("heddle-controller", "heddle.svc"));
}

TEST(ControllerConfig, ItsOwnNamespaceIsExemptBesidesThoseNamed) {
  const auto parsed = Parse(With({"--own-namespace", "mesh", "--exempt-namespaces", "a,b"}));
  ASSERT_TRUE(parsed) << parsed.error().text;
  const translate::MeshOptions& mesh = parsed->config.mesh;
  for (const char* name : {"mesh", "a", "b"}) EXPECT_TRUE(mesh.Exempts(name)) << name;
  EXPECT_FALSE(mesh.Exempts("kube-system"));
  EXPECT_TRUE(Parse(With({}))->config.mesh.Exempts("kube-system"));
}

TEST(ControllerConfig, SaysWhatIsMissing) {
  const auto parsed = Parse({"run", "--config-dir", "c"});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, 2);
  EXPECT_THAT(parsed.error().text, HasSubstr("--state-dir is required"));
}

TEST(ControllerConfig, ReadsACluster) {
  const auto parsed =
      Parse({"run", "--source", "kubernetes", "--kubeconfig", "k", "--state-dir", "s"});
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed->config.source, SourceKind::kKubernetes);
  EXPECT_EQ(parsed->config.kubeconfig, "k");
  EXPECT_THAT(ConfigJson(parsed->config), HasSubstr("\"source\": \"kubernetes\""));
  EXPECT_TRUE(Parse({"run", "--source", "kubernetes"}));
  const auto accounts =
      Parse({"run", "--source", "kubernetes", "--agent-service-accounts", "a/b,c/d"});
  ASSERT_TRUE(accounts) << accounts.error().text;
  EXPECT_THAT(accounts->config.agent_service_accounts, testing::ElementsAre("a/b", "c/d"));
}

TEST(ControllerConfig, RefusesValuesThatMeanNothing) {
  const struct {
    std::vector<const char*> arguments;
    const char* want;
  } cases[] = {
      {With({"--listen", "localhost:1"}), "--listen: 'localhost:1' is not an address"},
      {With({"--debug-listen", "15014"}), "--debug-listen: '15014'"},
      {With({"--trust-domain", "Not/Valid"}), "--trust-domain: 'Not/Valid'"},
      {With({"--log-level", "loud"}), "--log-level"},
      {With({"--source", "etcd"}), "--source"},
      {With({"--source", "kubernetes"}), "--config-dir has no meaning"},
      {With({"--kubeconfig", "k"}), "--kubeconfig has no meaning"},
      {{"run", "--state-dir", "s"}, "--config-dir is required, or --source kubernetes"},
      {With({"--agent-service-accounts", "a/b"}), "has no meaning without"},
      {{"run", "--source", "kubernetes", "--agent-service-accounts", "heddle-agent"},
       "'heddle-agent' is not NAMESPACE/NAME"},
      {{"run", "--source", "kubernetes", "--agent-service-accounts", "a/b/c"}, "'a/b/c' is not"},
      {With({"--no-such"}), "--no-such"},
      {{}, "subcommand"}};
  for (const auto& test : cases) {
    const auto parsed = Parse(test.arguments);
    ASSERT_FALSE(parsed) << test.want;
    EXPECT_EQ(parsed.error().code, 2) << test.want;
    EXPECT_THAT(parsed.error().text, HasSubstr(test.want));
  }
}

TEST(ControllerConfig, VersionNeedsNoOptionsAndHelpIsNoError) {
  const auto version = Parse({"version"});
  ASSERT_TRUE(version) << version.error().text;
  EXPECT_EQ(version->command, daemon::Command::kVersion);
  const auto help = Parse({"run", "--help"});
  ASSERT_FALSE(help);
  EXPECT_EQ(help.error().code, 0);
  EXPECT_THAT(help.error().text, HasSubstr("--state-dir"));
}

}  // namespace
}  // namespace heddle::controlplane
