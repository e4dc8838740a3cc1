#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::agent {
namespace {

Result<Invocation, daemon::Exit> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "heddle-agent");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

const std::vector<const char*> kComplete = {"run",          "--node-name",    "n1",
                                            "--controller", "10.0.0.1:15012", "--controller-roots",
                                            "r.pem",        "--token-file",   "t"};

std::vector<const char*> With(std::initializer_list<const char*> more) {
  std::vector<const char*> arguments = kComplete;
  arguments.insert(arguments.end(), more);
  return arguments;
}

TEST(AgentConfig, HasDefaultsForWhatIsNotGiven) {
  const auto parsed = Parse(kComplete);
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed->config.node.pin_dir, "/sys/fs/bpf/heddle/v1");
  EXPECT_EQ(parsed->config.admin.metrics_listen.port, 15020);
  EXPECT_EQ(parsed->config.controller.server_name, "heddle-controller");
}

TEST(AgentConfig, SaysWhatIsMissing) {
  const auto parsed = Parse({"run", "--node-name", "n1"});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, 2);
  EXPECT_THAT(parsed.error().text, testing::HasSubstr("--controller is required"));
}

TEST(AgentConfig, RefusesValuesThatMeanNothing) {
  for (auto arguments :
       {With({"--backend", "kqueue"}), With({"--key-exchange", "rsa"}), With({"--admin-listen", "localhost:1"}),
        With({"--workers", "0"}), With({"--probe-mode", "maybe"}), With({"--no-such"})}) {
    const auto parsed = Parse(arguments);
    ASSERT_FALSE(parsed) << arguments.back();
    EXPECT_EQ(parsed.error().code, 2) << arguments.back();
  }
}

TEST(AgentConfig, TakesTheCniDirectoriesOfAPlatformOrByThemselves) {
  const struct {
    std::vector<const char*> arguments;
    CniPaths paths;
  } rows[] = {
      {kComplete, {}},
      {With({"--cni-platform", "default"}), {"/etc/cni/net.d", "/opt/cni/bin"}},
      {With({"--cni-conf-dir", "/c", "--cni-bin-dir", "/b"}), {"/c", "/b"}},
      {With({"--cni-platform", "gke", "--cni-bin-dir", "/b"}), {"/etc/cni/net.d", "/b"}},
  };
  for (const auto& row : rows) {
    const auto parsed = Parse(row.arguments);
    ASSERT_TRUE(parsed) << parsed.error().text;
    EXPECT_EQ(parsed->config.node.cni, row.paths);
  }
}

TEST(AgentConfig, RefusesCniDirectoriesThatCannotBeUsed) {
  const std::pair<std::vector<const char*>, const char*> rows[] = {
      {With({"--cni-conf-dir", "/c"}), "go together"},
      {With({"--cni-bin-dir", "/b"}), "go together"},
      {With({"--cni-platform", "openshift"}), "Multus"},
      {With({"--cni-platform", "vms"}), "known are"},
      {With({"--cni-platform", "default", "--run-dir", "run"}), "absolute"},
      {With({"--exempt-namespaces", "kube-system,a/b"}), "no name of a namespace"},
  };
  for (const auto& [arguments, sentence] : rows) {
    const auto parsed = Parse(arguments);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, 2);
    EXPECT_THAT(parsed.error().text, testing::HasSubstr(sentence));
  }
}

TEST(AgentConfig, HelpIsNoError) {
  const auto parsed = Parse({"run", "--help"});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, 0);
  EXPECT_THAT(parsed.error().text, testing::HasSubstr("--probe-mode"));
}

TEST(AgentConfig, DumpNamesFilesButHoldsNoSecret) {
  const auto parsed = Parse(kComplete);
  EXPECT_THAT(ConfigJson(parsed->config), testing::HasSubstr("\"tokenFile\": \"t\""));
}

}  // namespace
}  // namespace heddle::agent
