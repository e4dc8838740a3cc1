#include "controlplane/translate/translate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/decode.h"
#include "controlplane/api/yaml.h"
#include "proto/authorization.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

namespace heddle::controlplane::translate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

api::ObjectStore Objects(std::string_view text) {
  api::ObjectStore objects;
  std::vector<api::Tree> documents;
  EXPECT_TRUE(api::ParseYaml(text, documents).ok());
  for (const api::Tree& document : documents) {
    for (const api::Decoded& decoded : api::DecodeDocument(document, "x")) {
      EXPECT_EQ(decoded.reason, "");
      if (decoded.object.has_value()) objects.Put(*decoded.object);
    }
  }
  return objects;
}

const istio::workload::Workload* FindWorkload(const Translation& translation,
                                              std::string_view uid) {
  static istio::workload::Address address;
  for (const Resource& resource : translation.addresses) {
    if (resource.name == uid && address.ParseFromString(resource.body)) return &address.workload();
  }
  return nullptr;
}

TEST(ContentVersion, IsFnv1aOf128Bits) {
  EXPECT_EQ(ContentVersion(""), "6c62272e07bb014262b821756295c58d");
  EXPECT_EQ(ContentVersion("a"), "d228cb696f1a8caf78912b704e4a8964");
}

TEST(Translate, AnnouncesHboneOnlyForAnEnrolledPodThatItsOwnNodeHasCaptured) {
  constexpr std::string_view kPod = R"(
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: ns, uid: u, labels: {istio.io/dataplane-mode: MODE}}
spec: {nodeName: n1}
status: {podIP: 10.0.0.1}
)";
  const struct {
    const char* name;
    const char* mode;
    CapturedPods captured;
    bool want;
  } cases[] = {
      {"enrolled and captured", "ambient", {{"n1", {"u"}}}, true},
      {"not captured yet", "ambient", {}, false},
      {"another pod captured", "ambient", {{"n1", {"v"}}}, false},
      {"reported by a node that does not have it", "ambient", {{"n2", {"u"}}}, false},
      {"captured but not enrolled", "none", {{"n1", {"u"}}}, false},
  };
  for (const auto& c : cases) {
    std::string text(kPod);
    text.replace(text.find("MODE"), 4, c.mode);
    const Translation translation = Translate(Objects(text), c.captured, {});
    const auto* workload = FindWorkload(translation, "Kubernetes//Pod/ns/a");
    ASSERT_NE(workload, nullptr) << c.name;
    EXPECT_EQ(workload->tunnel_protocol() == istio::workload::HBONE, c.want) << c.name;
  }
}

TEST(Translate, GivesUpPoliciesThenHboneThenEnrollmentWhileTheMeshLeaves) {
  const api::ObjectStore objects = Objects(R"(
apiVersion: v1
kind: Namespace
metadata: {name: ns, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: ns, uid: u, labels: {app: a}}
spec: {nodeName: n1}
status: {podIP: 10.0.0.1}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: ns}
spec: {selector: {matchLabels: {app: a}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all, namespace: istio-system}
spec: {rules: [{}]}
)");
  const struct {
    RemovalPhase phase;
    size_t policies;
    size_t named;
    bool hbone;
    bool enrolled;
  } cases[] = {{RemovalPhase::kNone, 3, 2, true, true},
               {RemovalPhase::kRelax, 0, 0, true, true},
               {RemovalPhase::kPlain, 0, 0, false, true},
               {RemovalPhase::kRelease, 0, 0, false, false}};
  for (const auto& c : cases) {
    const Translation translation = Translate(objects, {{"n1", {"u"}}}, {}, c.phase);
    EXPECT_EQ(translation.authorizations.size(), c.policies);
    const auto* workload = FindWorkload(translation, "Kubernetes//Pod/ns/a");
    ASSERT_NE(workload, nullptr);
    EXPECT_EQ(static_cast<size_t>(workload->authorization_policies_size()), c.named);
    EXPECT_EQ(workload->tunnel_protocol() == istio::workload::HBONE, c.hbone);
    heddle::node::v1::NodePod pod;
    ASSERT_TRUE(pod.ParseFromString(translation.node_pods.at("n1").front().body));
    EXPECT_EQ(pod.enrolled(), c.enrolled);
    EXPECT_EQ(pod.namespace_enrollment(), c.enrolled ? heddle::node::v1::NAMESPACE_ENROLLED
                                                     : heddle::node::v1::NAMESPACE_NONE);
    // What still comes by HBONE is served to the end.
    EXPECT_EQ(translation.identities.at("n1").size(), 1u);
    for (const api::ObjectStatus& status : translation.statuses) {
      if (status.object.kind != api::Kind::kPod)
        EXPECT_EQ(status.effective, c.phase == RemovalPhase::kNone) << status.object.ToString();
    }
  }
}

TEST(Translate, EnrollsByLabelOfPodOrNamespace) {
  const struct {
    const char* name_space;
    const char* pod_labels;
    const char* extra;
    const char* spec;
    bool want;
  } cases[] = {
      {"ambient", "{}", "{}", "{}", true},
      {"ambient", "{istio.io/dataplane-mode: none}", "{}", "{}", false},
      {"none", "{istio.io/dataplane-mode: ambient}", "{}", "{}", true},
      {"none", "{}", "{}", "{}", false},
      {"ambient", "{}", "{}", "{hostNetwork: true}", false},
      {"none", "{istio.io/dataplane-mode: ambient}", "{}", "{hostNetwork: true}", false},
      {"ambient", "{}", "{sidecar.istio.io/status: x}", "{}", false},
      {"ambient", "{linkerd.io/control-plane-ns: linkerd}", "{}", "{}", false},
      {"ambient", "{}", "{kuma.io/sidecar-injected: 'true'}", "{}", false},
      {"ambient", "{}", "{kuma.io/sidecar-injected: 'false'}", "{}", true},
  };
  for (const auto& c : cases) {
    std::string text =
        "{apiVersion: v1, kind: Namespace, metadata: {name: ns, labels: {istio.io/dataplane-mode: ";
    text +=
        std::string(c.name_space) +
        "}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ns, uid: u, labels: ";
    text += std::string(c.pod_labels) + ", annotations: " + c.extra + "}\nspec: " + c.spec +
            "\nstatus: {podIP: 10.0.0.1}\n";
    const Translation translation = Translate(Objects(text), {{"", {"u"}}}, {});
    EXPECT_EQ(FindWorkload(translation, "Kubernetes//Pod/ns/a")->tunnel_protocol() ==
                  istio::workload::HBONE,
              c.want)
        << text;
  }
}

TEST(Translate, EnrollsNothingOfExemptNamespacesWhateverTheirLabelsSay) {
  const MeshOptions options{.own_namespace = "mesh", .exempt_namespaces = {"critical"}};
  const struct {
    const char* name_space;
    bool want;
  } cases[] = {{"mesh", false}, {"critical", false}, {"heddle-system", true}, {"shop", true}};
  for (const auto& c : cases) {
    for (const char* pod_labels : {"{}", "{istio.io/dataplane-mode: ambient}"}) {
      const std::string text = absl::StrCat(
          "{apiVersion: v1, kind: Namespace, metadata: {name: ", c.name_space,
          ", labels: {istio.io/dataplane-mode: ambient}}}\n---\napiVersion: v1\nkind: Pod\n"
          "metadata: {name: a, namespace: ", c.name_space, ", uid: u, labels: ", pod_labels,
          "}\nspec: {}\nstatus: {podIP: 10.0.0.1}\n");
      const Translation translation = Translate(Objects(text), {{"", {"u"}}}, options);
      const auto* workload =
          FindWorkload(translation, absl::StrCat("Kubernetes//Pod/", c.name_space, "/a"));
      EXPECT_EQ(workload->tunnel_protocol() == istio::workload::HBONE, c.want) << text;
    }
  }
}

TEST(Translate, GivesANodeItsPodsBeforeTheyHaveAnAddressAndNotAfterTheyEnded) {
  const Translation translation = Translate(Objects(R"(
{apiVersion: v1, kind: Pod, metadata: {name: bound, uid: u1}, spec: {nodeName: n1, serviceAccountName: sa}}
---
{apiVersion: v1, kind: Pod, metadata: {name: waiting, uid: u2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: ended, uid: u3}, spec: {nodeName: n1},
 status: {phase: Failed, podIP: 10.0.0.1}}
)"),
                                            {}, {});
  ASSERT_EQ(translation.node_pods.size(), 1u);
  ASSERT_EQ(translation.node_pods.at("n1").size(), 1u);
  EXPECT_EQ(translation.node_pods.at("n1")[0].name, "u1");
  EXPECT_THAT(translation.identities.at("n1"),
              ElementsAre("spiffe://cluster.local/ns/default/sa/sa"));
  EXPECT_THAT(translation.addresses, IsEmpty());
}

TEST(Translate, TrustsNeitherOfTwoPodsWithOneUid) {
  const Translation translation = Translate(Objects(R"(
{apiVersion: v1, kind: Pod, metadata: {name: a, uid: u}, spec: {nodeName: n1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, uid: u}, spec: {nodeName: n2, serviceAccountName: admin}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c}, spec: {nodeName: n2}}
)"),
                                            {}, {});
  EXPECT_THAT(translation.node_pods, IsEmpty());
  EXPECT_THAT(translation.identities, IsEmpty());
  EXPECT_EQ(translation.statuses.size(), 3u);
}

TEST(Translate, FollowsThePrecedenceOfPeerAuthentications) {
  constexpr std::string_view kPods = R"(
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ns, labels: {app: a}}, status: {podIP: 10.0.0.1}}
)";
  constexpr std::string_view kStrict = "istio-system/istio_converted_static_strict";
  const struct {
    const char* name;
    std::string policies;
    std::vector<std::string> want;
  } cases[] = {
      {"mesh",
       "metadata: {name: m, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}",
       {std::string(kStrict)}},
      {"namespace wins over mesh",
       "metadata: {name: m, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n---\n"
       "metadata: {name: n, namespace: ns}\nspec: {mtls: {mode: PERMISSIVE}}",
       {}},
      {"unset inherits",
       "metadata: {name: m, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n---\n"
       "metadata: {name: n, namespace: ns}\nspec: {}",
       {std::string(kStrict)}},
      {"workload wins over namespace",
       "metadata: {name: n, namespace: ns}\nspec: {mtls: {mode: STRICT}}\n---\n"
       "metadata: {name: w, namespace: ns}\nspec: {selector: {matchLabels: {app: a}}, mtls: {mode: "
       "DISABLE}}",
       {}},
      {"the oldest of a level counts",
       "metadata: {name: n1, namespace: ns, creationTimestamp: '2026-01-02T00:00:00Z'}\n"
       "spec: "
       "{mtls: {mode: PERMISSIVE}}\n---\n"
       "metadata: {name: n2, namespace: ns, creationTimestamp: '2026-01-01T00:00:00Z'}\nspec: "
       "{mtls: {mode: STRICT}}",
       {std::string(kStrict)}},
      {"a selector in the root namespace has no effect",
       "metadata: {name: m, namespace: istio-system}\nspec: {selector: {matchLabels: {app: a}}, "
       "mtls: {mode: STRICT}}",
       {}},
      {"another namespace's has no effect",
       "metadata: {name: o, namespace: other}\nspec: {mtls: {mode: STRICT}}",
       {}},
      {"a port's exception",
       "metadata: {name: w, namespace: ns}\n"
       "spec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: "
       "PERMISSIVE}}}",
       {"ns/converted_peer_authentication_w"}},
      {"a port that is no exception",
       "metadata: {name: w, namespace: ns}\n"
       "spec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: "
       "UNSET}}}",
       {std::string(kStrict)}},
  };
  for (const auto& c : cases) {
    std::string text(kPods);
    constexpr std::string_view kHeader =
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n";
    std::string policies = "---\n" + c.policies + "\n";
    for (size_t at = 0; (at = policies.find("---\n", at)) != std::string::npos;
         at += kHeader.size())
      policies.replace(at, 4, kHeader);
    const Translation translation = Translate(Objects(text + policies), {}, {});
    const auto& got = FindWorkload(translation, "Kubernetes//Pod/ns/a")->authorization_policies();
    EXPECT_EQ(std::vector<std::string>(got.begin(), got.end()), c.want) << c.name;
    for (const std::string& name : c.want) {
      const bool sent =
          std::any_of(translation.authorizations.begin(), translation.authorizations.end(),
                      [&](const Resource& resource) { return resource.name == name; });
      EXPECT_TRUE(sent) << c.name;
    }
  }
}

TEST(Translate, GivesTheSameBytesForTheSameObjects) {
  constexpr std::string_view kText = R"(
{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: a}}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Service, metadata: {name: s1}, spec: {selector: {app: a}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: s2}, spec: {selector: {app: a}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: s3}, spec: {selector: {app: a}, ports: [{port: 80}]}}
)";
  const ResourceSet first = Translate(Objects(kText), {}, {}).addresses;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Translate(Objects(kText), {}, {}).addresses, first);
}

}  // namespace
}  // namespace heddle::controlplane::translate
