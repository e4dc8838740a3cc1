#include "lib/kube/cluster_access.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"

namespace heddle::kube {
namespace {

using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

std::string Config(const std::string& cluster, const std::string& user) {
  return absl::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: x\n",
                      "contexts: [{name: x, context: {cluster: c, user: u, namespace: shop}}]\n",
                      "clusters: [{name: c, cluster: {", cluster, "}}]\n",
                      "users: [{name: u, user: {", user, "}}]\n");
}

constexpr char kServer[] = "server: 'https://10.0.0.1:6443', certificate-authority: ca.crt";

TEST(ParseKubeConfig, ReadsFilesRelativeToItself) {
  const auto access = ParseKubeConfig(
      Config(kServer, "client-certificate: /abs/a.crt, client-key: keys/a.key"), "/home/a/.kube");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->host, "10.0.0.1");
  EXPECT_EQ(access->port, 6443);
  EXPECT_EQ(access->server_name, "10.0.0.1");
  EXPECT_EQ(access->roots.file, "/home/a/.kube/ca.crt");
  EXPECT_EQ(access->client_certificate.file, "/abs/a.crt");
  EXPECT_EQ(access->client_key.file, "/home/a/.kube/keys/a.key");
  EXPECT_TRUE(access->token.empty());
  EXPECT_EQ(access->name_space, "shop");
  EXPECT_EQ(access->Authority(), "10.0.0.1:6443");
}

TEST(ParseKubeConfig, PrefersInlineDataAndTokenFiles) {
  const auto access = ParseKubeConfig(
      Config(absl::StrCat(kServer, ", tls-server-name: kubernetes, certificate-authority-data: ",
                          absl::Base64Escape("roots")),
             "token: t, tokenFile: token"),
      "/d");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->roots.data, "roots");
  EXPECT_TRUE(access->roots.file.empty());
  EXPECT_EQ(access->server_name, "kubernetes");
  EXPECT_EQ(access->token.file, "/d/token");
  EXPECT_TRUE(access->token.data.empty());
}

TEST(ParseKubeConfig, TakesServersApart) {
  const struct {
    const char *server, *host, *prefix, *authority;
  } kCases[] = {
      {"https://api.example.com", "api.example.com", "", "api.example.com:443"},
      {"https://api.example.com/", "api.example.com", "", "api.example.com:443"},
      {"https://[fd00::1]:6443/k8s/c1/", "fd00::1", "/k8s/c1", "[fd00::1]:6443"},
      {"https://[fd00::1]", "fd00::1", "", "[fd00::1]:443"},
  };
  for (const auto& test : kCases) {
    const auto access = ParseKubeConfig(
        Config(absl::StrCat("certificate-authority: a, server: '", test.server, "'"), "token: t"),
        "");
    ASSERT_TRUE(access.ok()) << access.status();
    EXPECT_EQ(access->host, test.host);
    EXPECT_EQ(access->path_prefix, test.prefix);
    EXPECT_EQ(access->Authority(), test.authority);
  }
}

TEST(ParseKubeConfig, SaysWhatIsWrongAndWhere) {
  const std::string ca = "certificate-authority: a, server: ";
  const struct {
    std::string text, want;
  } kCases[] = {
      {"", "not a kubeconfig"},
      {"[1]", "not a kubeconfig"},
      {"{a: [", "line 1: "},
      {std::string("a\0b", 3), "NUL byte"},
      {"kind: Config", "no current-context"},
      {"current-context: x", "no 'x' among its contexts"},
      {"current-context: {}", "current-context must be text"},
      {"current-context: x\ncontexts: [{name: x}]", "contexts 'x' has no 'context'"},
      {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]",
       "no 'c' among its clusters"},
      {Config(ca + "'http://h'", "token: t"), "cluster 'c'.server: 'http://h' does not begin with"},
      {Config(ca + "'https://'", "token: t"), "no usable host"},
      {Config(ca + "'https://a@b'", "token: t"), "no usable host"},
      {Config(ca + "'https://[::1'", "token: t"), "bracket"},
      {Config(ca + "'https://h:0'", "token: t"), "no usable port"},
      {Config(ca + "'https://h:x'", "token: t"), "no usable port"},
      {Config(ca + "'https://[::1]x'", "token: t"), "no usable port"},
      {Config(ca + "'https://h/a?b'", "token: t"), "more than a path"},
      {Config("server: 'https://h'", "token: t"), "cluster 'c' has no certificate-authority"},
      {Config("server: 'https://h', certificate-authority-data: '*'", "token: t"), "not base64"},
      {Config(ca + "'https://h', insecure-skip-tls-verify: true", "token: t"), "trust anybody"},
      {Config(ca + "'https://h', proxy-url: 'http://p'", "token: t"), "proxy-url"},
      {Config(kServer, ""), "user 'u' has no credentials"},
      {Config(kServer, "client-key: k"), "only one of client-certificate"},
      {Config(kServer, "exec: {command: aws}"), "user 'u'.exec is not supported"},
      {Config(kServer, "auth-provider: {name: gcp}"), "auth-provider is not supported"},
      {Config(kServer, "username: a, password: b"), "username is not supported"},
      {Config(kServer, "token: t, as: b"), "nobody is impersonated"},
      {Config(kServer, "token: [t]"), "user 'u'.token must be text"},
  };
  for (const auto& test : kCases) {
    const auto access = ParseKubeConfig(test.text, "/d");
    ASSERT_FALSE(access.ok()) << test.text;
    EXPECT_THAT(Message(access.status()), HasSubstr(test.want)) << test.text;
  }
}

TEST(ParseKubeConfig, TakesTheContextThatIsAskedFor) {
  EXPECT_TRUE(ParseKubeConfig(Config(kServer, "token: t"), "", "x").ok());
  EXPECT_THAT(Message(ParseKubeConfig(Config(kServer, "token: t"), "", "y").status()),
              HasSubstr("no 'y' among its contexts"));
}

TEST(ReadKubeConfig, NamesTheFile) {
  const TemporaryDirectory directory;
  EXPECT_THAT(Message(ReadKubeConfig(directory / "none").status()), HasSubstr("kubeconfig: "));
  directory.Write("config", "kind: Config");
  EXPECT_THAT(Message(ReadKubeConfig(directory / "config").status()),
              HasSubstr(directory / "config: it has no current-context"));
  directory.Write("config", Config(kServer, "token: t"));
  const auto access = ReadKubeConfig(directory / "config");
  ASSERT_TRUE(access.ok());
  EXPECT_THAT(access->origin, HasSubstr("(context 'x')"));
  EXPECT_EQ(access->roots.file, directory / "ca.crt");
}

TEST(InClusterAccess, ReadsTheServiceAccount) {
  const TemporaryDirectory directory;
  const InClusterPlaces places{.directory = directory.path(), .host = "fd00::1", .port = "443"};
  EXPECT_THAT(Message(InClusterAccess(places).status()),
              HasSubstr("the service account's roots: "));
  directory.Write("ca.crt", "roots");
  EXPECT_THAT(Message(InClusterAccess(places).status()),
              HasSubstr("the service account's token: "));
  directory.Write("token", "t");
  directory.Write("namespace", "heddle-system");
  const auto access = InClusterAccess(places);
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->Authority(), "[fd00::1]:443");
  EXPECT_EQ(access->token.file, directory / "token");
  EXPECT_EQ(access->name_space, "heddle-system");
}

TEST(InClusterAccess, SaysWhatTheEnvironmentLacks) {
  EXPECT_THAT(Message(InClusterAccess({.port = "443"}).status()),
              HasSubstr("not inside a cluster"));
  EXPECT_THAT(Message(InClusterAccess({.host = "h", .port = "70000"}).status()),
              HasSubstr("'70000' is not a port"));
}

TEST(Load, RefusesWhatIsTooLarge) {
  const TemporaryDirectory directory;
  directory.Write("a", std::string(kMaxMaterialBytes, 'x'));
  EXPECT_TRUE(Load({.file = directory / "a"}, "x").ok());
  directory.Write("a", std::string(kMaxMaterialBytes + 1, 'x'));
  EXPECT_THAT(Message(Load({.file = directory / "a"}, "x").status()),
              HasSubstr("longer than 1048576 bytes"));
}

}  // namespace
}  // namespace heddle::kube
