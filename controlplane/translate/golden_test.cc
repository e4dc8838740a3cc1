// Every testdata/*.yaml is translated, and what comes out is compared with the *.golden beside it.
// After an intended change:
//   controlplane_translate_test --update
// In a YAML file, "# captured: <node> <uid>" reports a pod captured, and "# trust-domain: <name>"
// and "# cluster: <id>" set options.

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "controlplane/api/decode.h"
#include "controlplane/api/json.h"
#include "controlplane/api/tree_reader.h"
#include "controlplane/api/yaml.h"
#include "controlplane/translate/translate.h"
#include "proto/authorization.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

namespace heddle::controlplane::translate {
namespace {

bool update = false;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Scenario {
  api::ObjectStore objects;
  CapturedPods captured;
  MeshOptions options;
};

void ReadSettings(const std::string& text, Scenario& scenario) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 4 && words[1] == "captured:") scenario.captured[words[2]].insert(words[3]);
    if (words.size() == 3 && words[1] == "trust-domain:") scenario.options.trust_domain = words[2];
    if (words.size() == 3 && words[1] == "cluster:") scenario.options.cluster_id = words[2];
  }
}

Scenario ReadScenario(const std::string& text) {
  Scenario scenario;
  ReadSettings(text, scenario);
  std::vector<api::Tree> documents;
  const api::YamlError error = api::ParseYaml(text, documents);
  EXPECT_TRUE(error.ok()) << error.line << ": " << error.reason;
  for (const api::Tree& document : documents) {
    for (const api::Decoded& decoded : api::DecodeDocument(document, "golden")) {
      if (decoded.object.has_value()) scenario.objects.Put(*decoded.object);
      if (decoded.stand_in.has_value()) scenario.objects.Put(*decoded.stand_in);
    }
  }
  return scenario;
}

template <typename Message>
void Print(std::string_view title, const ResourceSet& resources, std::string& out) {
  for (const Resource& resource : resources) {
    Message message;
    EXPECT_TRUE(message.ParseFromString(resource.body));
    std::string text;
    google::protobuf::TextFormat::PrintToString(message, &text);
    absl::StrAppend(&out, "# ", std::string(title), " ", resource.name, "\n", text, "\n");
  }
}

std::string PrintAll(const Translation& translation) {
  std::string out;
  Print<istio::workload::Address>("Address", translation.addresses, out);
  Print<istio::security::Authorization>("Authorization", translation.authorizations, out);
  for (const auto& [node, pods] : translation.node_pods) {
    Print<heddle::node::v1::NodePod>(absl::StrCat("NodePod of ", node, ":"), pods, out);
  }
  for (const auto& [node, identities] : translation.identities) {
    for (const std::string& identity : identities)
      absl::StrAppend(&out, "# identity on ", node, ": ", identity, "\n");
  }
  for (const api::ObjectStatus& status : translation.statuses) {
    absl::StrAppend(&out, "# status ", status.object.ToString(), ": ",
                    status.effective ? "in effect" : "no effect", status.note.empty() ? "" : ": ",
                    status.note, "\n");
  }
  return out;
}

nlohmann::json ToJson(const api::Tree& tree) {
  if (tree.kind == api::Tree::Kind::kMap) {
    nlohmann::json object = nlohmann::json::object();
    for (const api::TreeMember& member : tree.members) object[member.key] = ToJson(member.value);
    return object;
  }
  if (tree.kind == api::Tree::Kind::kList) {
    nlohmann::json list = nlohmann::json::array();
    for (const api::Tree& item : tree.items) list.push_back(ToJson(item));
    return list;
  }
  if (tree.kind == api::Tree::Kind::kPlain && api::PlainScalarIsNotText(tree.text))
    return nlohmann::json::parse(tree.text);
  return tree.kind == api::Tree::Kind::kNull ? nlohmann::json() : nlohmann::json(tree.text);
}

// The same objects as an API server would list them: as JSON, built-in kinds without their kind.
api::ObjectStore ThroughJson(const std::string& text) {
  api::ObjectStore objects;
  std::vector<api::Tree> documents;
  EXPECT_TRUE(api::ParseYaml(text, documents).ok());
  for (const api::Tree& document : documents) {
    for (const api::Decoded& decoded : api::DecodeDocument(document, "golden")) {
      if (!decoded.key.has_value()) continue;
      nlohmann::json json = ToJson(document);
      if (decoded.key->kind < api::Kind::kPeerAuthentication) {
        json.erase("kind");
        json.erase("apiVersion");
      }
      const auto tree = api::ParseJson(json.dump());
      EXPECT_TRUE(tree.ok()) << tree.status();
      const api::Decoded again = api::DecodeObject(decoded.key->kind, *tree);
      EXPECT_EQ(again.key, decoded.key);
      if (again.object.has_value()) objects.Put(*again.object);
      if (again.stand_in.has_value()) objects.Put(*again.stand_in);
    }
  }
  return objects;
}

TEST(TranslateGolden, GivesTheExpectedResources) {
  const std::filesystem::path folder =
      "controlplane/translate/testdata";  // Tests run in the source tree.
  int scenarios = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const Scenario scenario = ReadScenario(ReadFile(entry.path()));
    const std::string got =
        PrintAll(Translate(scenario.objects, scenario.captured, scenario.options));
    const std::filesystem::path golden =
        std::filesystem::path(entry.path()).replace_extension(".golden");
    if (update) std::ofstream(golden) << got;
    EXPECT_EQ(got, ReadFile(golden));
    EXPECT_EQ(got, PrintAll(Translate(ThroughJson(ReadFile(entry.path())), scenario.captured,
                                      scenario.options)));
    ++scenarios;
  }
  EXPECT_GT(scenarios, 0);
}

}  // namespace

void SetUpdate(bool value) { update = value; }

}  // namespace heddle::controlplane::translate

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--update") heddle::controlplane::translate::SetUpdate(true);
  }
  return RUN_ALL_TESTS();
}
