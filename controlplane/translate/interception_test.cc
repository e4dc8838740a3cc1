#include "controlplane/translate/interception.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "controlplane/api/decode.h"
#include "controlplane/api/yaml.h"
#include "controlplane/translate/translate.h"

namespace heddle::controlplane::translate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Each excludes the outbound port of its name.
constexpr std::string_view kPolicies = R"(
{apiVersion: heddle.io/v1alpha1, kind: InterceptionPolicy, metadata: {name: mesh, namespace: istio-system},
 spec: {excludedOutboundPorts: [1], failMode: Open}}
---
{apiVersion: heddle.io/v1alpha1, kind: InterceptionPolicy, metadata: {name: whole, namespace: shop},
 spec: {excludedOutboundPorts: [2], excludedInboundCidrs: [192.0.2.7, "2001:db8::/32"]}}
---
{apiVersion: heddle.io/v1alpha1, kind: InterceptionPolicy,
 metadata: {name: younger, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z"},
 spec: {selector: {matchLabels: {app: web}}, excludedOutboundPorts: [3]}}
---
{apiVersion: heddle.io/v1alpha1, kind: InterceptionPolicy,
 metadata: {name: senior, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"},
 spec: {selector: {matchLabels: {tier: front}}, excludedOutboundPorts: [4]}}
---
{apiVersion: heddle.io/v1alpha1, kind: InterceptionPolicy, metadata: {name: lost, namespace: istio-system},
 spec: {selector: {matchLabels: {app: web}}, excludedOutboundPorts: [5]}}
)";

api::ObjectStore Objects(std::string_view pods) {
  api::ObjectStore objects;
  std::vector<api::Tree> documents;
  EXPECT_TRUE(
      api::ParseYaml(absl::StrCat(std::string(kPolicies), std::string(pods)), documents).ok());
  for (const api::Tree& document : documents) {
    for (const api::Decoded& decoded : api::DecodeDocument(document, "x")) {
      EXPECT_EQ(decoded.reason, "");
      if (decoded.object.has_value()) objects.Put(*decoded.object);
    }
  }
  return objects;
}

std::string Pod(std::string_view name, std::string_view name_space, std::string_view labels,
                std::string_view annotations = "{}") {
  return absl::StrCat("---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: ", std::string(name),
                      "\n  namespace: ", std::string(name_space), "\n  uid: u-", std::string(name),
                      "\n  labels: {istio.io/dataplane-mode: ambient", std::string(labels),
                      "}\n  annotations: ", std::string(annotations), "\nspec: {nodeName: n1}\n");
}

heddle::node::v1::Interception InterceptionOf(const Translation& translation) {
  heddle::node::v1::NodePod pod;
  const ResourceSet& pods = translation.node_pods.at("n1");
  EXPECT_EQ(pods.size(), 1u);
  EXPECT_TRUE(pod.ParseFromString(pods[0].body));
  return pod.interception();
}

TEST(Interception, TheMostSpecificPolicyCountsAndOfTwoTheOlder) {
  const struct {
    std::string_view name_space;
    std::string_view labels;
    uint32_t want;
    heddle::node::v1::FailMode mode;
  } cases[] = {
      {"other", "", 1, heddle::node::v1::OPEN},
      {"other", ", app: web", 1, heddle::node::v1::OPEN},
      {"shop", "", 2, heddle::node::v1::CLOSED},
      {"shop", ", app: web", 3, heddle::node::v1::CLOSED},
      {"shop", ", tier: front", 4, heddle::node::v1::CLOSED},
      {"shop", ", app: web, tier: front", 4, heddle::node::v1::CLOSED},
  };
  for (const auto& c : cases) {
    const Translation translation = Translate(Objects(Pod("a", c.name_space, c.labels)), {}, {});
    const auto interception = InterceptionOf(translation);
    EXPECT_THAT(interception.excluded_outbound_ports(), ElementsAre(c.want)) << c.labels;
    EXPECT_EQ(interception.fail_mode(), c.mode) << c.labels;
  }
}

TEST(Interception, StatusSaysForHowManyItCountsAndWhoWins) {
  const Translation translation = Translate(
      Objects(Pod("a", "shop", ", app: web, tier: front") + Pod("b", "shop", ", app: web")), {},
      {});
  std::map<std::string, std::string> notes;
  for (const api::ObjectStatus& status : translation.statuses)
    notes[status.object.name.name] = status.note;
  EXPECT_EQ(notes["senior"], "pods: 1");
  EXPECT_EQ(notes["younger"], "pods: 1; left to senior, which is older: 1");
  EXPECT_EQ(notes["whole"], "pods: 0");
  EXPECT_EQ(notes["lost"], "a selector in the root namespace has no effect");
}

bool HasNote(const Translation& translation, const std::string& about) {
  return std::ranges::any_of(translation.statuses, [&](const api::ObjectStatus& status) {
    return status.note.find(about) != std::string::npos;
  });
}

// The blocks that the pod takes plaintext from.
std::vector<std::string> Sources(const heddle::node::v1::Interception& interception) {
  std::vector<std::string> sources;
  for (const heddle::node::v1::Cidr& cidr : interception.excluded_inbound_cidrs()) {
    const std::string& bytes = cidr.address();
    const auto address =
        io::IpAddress::FromBytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    sources.push_back(io::IpPrefix::Make(address.value(), cidr.length()).value().ToString());
  }
  return sources;
}

TEST(Interception, SendsTheSourcesWhosePlaintextIsNotCaptured) {
  EXPECT_THAT(Sources(InterceptionOf(Translate(Objects(Pod("a", "shop", "")), {}, {}))),
              ElementsAre("192.0.2.7/32", "2001:db8::/32"));
}

TEST(Interception, IstiosAnnotationToBypassInboundCaptureMeansAllSources) {
  const struct {
    std::string_view value;
    std::vector<std::string> want;
    bool noted;
  } cases[] = {{"true", {"0.0.0.0/0", "::/0"}, false},
               {"false", {"192.0.2.7/32", "2001:db8::/32"}, false},
               {"yes", {"192.0.2.7/32", "2001:db8::/32"}, true}};
  for (const auto& c : cases) {
    const Translation translation =
        Translate(Objects(Pod("a", "shop", "",
                              absl::StrCat("{ambient.istio.io/bypass-inbound-capture: \"",
                                           std::string(c.value), "\"}"))),
                  {}, {});
    EXPECT_EQ(Sources(InterceptionOf(translation)), c.want) << c.value;
    EXPECT_EQ(HasNote(translation, "bypass-inbound-capture"), c.noted) << c.value;
  }
}

TEST(Interception, AnnotationsOfThePodReplaceTheListThatTheyName) {
  const Translation translation = Translate(
      Objects(Pod("a", "shop", "", R"({traffic.sidecar.istio.io/excludeInboundPorts: "9100, 9101",
        traffic.sidecar.istio.io/excludeOutboundIPRanges: "10.0.0.0/8,fd00::/8"})")),
      {}, {});
  const auto interception = InterceptionOf(translation);
  EXPECT_THAT(interception.excluded_inbound_ports(), ElementsAre(9100u, 9101u));
  EXPECT_THAT(interception.excluded_outbound_ports(), ElementsAre(2u));  // As the policy says.
  ASSERT_EQ(interception.excluded_outbound_cidrs_size(), 2);
  EXPECT_EQ(interception.excluded_outbound_cidrs(0).length(), 8u);
}

TEST(Interception, AnAnnotationThatCannotBeReadExcludesNothingAndIsNamed) {
  for (const std::string_view value : {"80,x", "0", "65536", "*", "80;81"}) {
    const Translation translation =
        Translate(Objects(Pod("a", "shop", "",
                              absl::StrCat("{traffic.sidecar.istio.io/excludeInboundPorts: \"",
                                           std::string(value), "\"}"))),
                  {}, {});
    EXPECT_THAT(InterceptionOf(translation).excluded_inbound_ports(), IsEmpty()) << value;
    EXPECT_THAT(translation.statuses.front().note, HasSubstr("excludeInboundPorts")) << value;
  }
}

}  // namespace
}  // namespace heddle::controlplane::translate
