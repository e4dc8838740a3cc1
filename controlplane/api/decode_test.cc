#include "controlplane/api/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/yaml.h"

namespace heddle::controlplane::api {
namespace {

using testing::HasSubstr;

std::vector<Decoded> Decode(std::string_view text) {
  std::vector<Tree> documents;
  const YamlError error = ParseYaml(text, documents);
  EXPECT_TRUE(error.ok()) << error.line << ": " << error.reason;
  std::vector<Decoded> all;
  for (const Tree& document : documents) {
    for (Decoded& decoded : DecodeDocument(document, "a.yaml")) all.push_back(std::move(decoded));
  }
  return all;
}

template <typename T>
T Only(std::string_view text) {
  const std::vector<Decoded> decoded = Decode(text);
  EXPECT_EQ(decoded.size(), 1u);
  EXPECT_EQ(decoded.at(0).reason, "");
  return *std::get<std::shared_ptr<const T>>(decoded.at(0).object.value());
}

TEST(Decode, ReadsAPodOfAClusterAndIgnoresWhatItDoesNotKnow) {
  const Pod pod = Only<Pod>(R"(
apiVersion: v1
kind: Pod
metadata:
  name: web-5d4f-x
  namespace: shop
  uid: 11111111-2222-3333-4444-555555555555
  creationTimestamp: "2026-01-02T03:04:05Z"
  labels: {app: web, version: 1}
  annotations: {kubectl.kubernetes.io/last-applied: "{}", ambient.istio.io/redirection: enabled}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: web-5d4f, uid: u, controller: true, blockOwnerDeletion: true}
spec:
  nodeName: node-1
  serviceAccountName: web
  tolerations: [{effect: NoExecute}]
  containers:
  - name: c
    ports: [{containerPort: 8080, name: http}, {containerPort: 53, name: dns, protocol: UDP}, {containerPort: 1}]
status:
  phase: Running
  conditions: [{type: Initialized, status: "True"}, {type: Ready, status: "False"}]
  podIP: 10.0.0.7
  podIPs: [{ip: 10.0.0.7}, {ip: "fd00::7"}]
)");
  EXPECT_EQ(pod.meta.Label("version"), "1");
  EXPECT_EQ(pod.meta.annotations.size(), 1u);
  EXPECT_EQ(pod.meta.owners.at(0).kind, "ReplicaSet");
  EXPECT_EQ(pod.node_name, "node-1");
  EXPECT_EQ(pod.service_account, "web");
  EXPECT_EQ(pod.named_ports, (std::vector<ContainerPort>{{"http", 8080}}));
  EXPECT_FALSE(pod.ready);
  EXPECT_EQ(pod.ips.size(), 2u);
}

TEST(Decode, WhatPodsOfOneOwnerHaveInCommonIsHeldOnce) {
  const auto decoded = Decode(R"(
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, labels: {app: a-web-server-with-a-long-name}},
 spec: {nodeName: a-node-of-a-large-cluster, serviceAccountName: an-account-with-a-long-name}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop, labels: {app: a-web-server-with-a-long-name}},
 spec: {nodeName: a-node-of-a-large-cluster, serviceAccountName: an-account-with-a-long-name}}
)");
  ASSERT_EQ(decoded.size(), 2u);
  const Pod& a = *std::get<std::shared_ptr<const Pod>>(decoded[0].object.value());
  const Pod& b = *std::get<std::shared_ptr<const Pod>>(decoded[1].object.value());
  EXPECT_EQ(&a.meta.labels.map(), &b.meta.labels.map());
  EXPECT_EQ(&a.node_name.str(), &b.node_name.str());
  EXPECT_EQ(&a.service_account.str(), &b.service_account.str());
}

TEST(Decode, TakesAPodWithoutConditionsAsReady) {
  EXPECT_TRUE(Only<Pod>("{apiVersion: v1, kind: Pod, metadata: {name: a}}").ready);
  EXPECT_EQ(Only<Pod>("{apiVersion: v1, kind: Pod, metadata: {name: a}}").meta.name_space,
            "default");
}

TEST(Decode, ReadsAServiceWithNamedAndNumberedTargets) {
  const Service service = Only<Service>(R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, "fd00:1::1"]
  ipFamilies: [IPv4, IPv6]
  internalTrafficPolicy: Local
  publishNotReadyAddresses: true
  selector: {app: web}
  ports:
  - {port: 80, targetPort: http}
  - {port: 81, targetPort: 8081}
  - {port: 82}
  - {port: 53, protocol: UDP}
)");
  EXPECT_EQ(service.addresses.size(), 2u);
  ASSERT_EQ(service.ports.size(), 3u);
  EXPECT_EQ(std::get<std::string>(service.ports[0].target), "http");
  EXPECT_EQ(std::get<uint16_t>(service.ports[1].target), 8081);
  EXPECT_EQ(std::get<uint16_t>(service.ports[2].target), 82);
  EXPECT_TRUE(service.ipv4 && service.ipv6 && service.local_traffic_only &&
              service.publish_not_ready);
}

TEST(Decode, ReadsHeadlessServicesAndEndpointSlices) {
  EXPECT_TRUE(
      Only<Service>("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None}}")
          .addresses.empty());
  const EndpointSlice slice = Only<EndpointSlice>(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.0.0.7], targetRef: {kind: Pod, name: web-5d4f-x}, conditions: {ready: false}}
- {addresses: [192.0.2.9]}
)");
  EXPECT_EQ(slice.service, "web");
  EXPECT_EQ(slice.endpoints.at(0).pod, "web-5d4f-x");
  EXPECT_FALSE(slice.endpoints.at(0).ready);
  EXPECT_TRUE(slice.endpoints.at(1).ready);
}

TEST(Decode, ReadsListsAndLeavesOutKindsThatTheMeshDoesNotRead) {
  const std::vector<Decoded> decoded = Decode(R"(
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}
- {apiVersion: v1, kind: Node, metadata: {name: node-1}}
)");
  ASSERT_EQ(decoded.size(), 2u);
  EXPECT_EQ(decoded[0].key->ToString(), "Namespace shop");
  EXPECT_EQ(decoded[1].key->ToString(), "Node node-1");
}

TEST(Decode, RefusesAnObjectWithTheLineOfTheReason) {
  const struct {
    const char* text;
    int line;
    const char* reason;
  } cases[] = {
      {"apiVersion: v1\nkind: Pod\nmetadata:\n  name: A_b\n", 4, "metadata.name"},
      {"apiVersion: v1\nkind: Pod\n", 1, "metadata is missing"},
      {"apiVersion: v1\nkind: Pod\nmetadata: {name: ../a}\n", 3, "metadata.name"},
      {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: x\n", 4, "spec must be a mapping"},
      {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus:\n  podIP: 1.2.3\n", 5,
       "not an IP address"},
      {"kind: Pod\n", 1, "no apiVersion"},
      {"- a\n", 1, "must be a mapping"},
      {"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n", 1, "not supported"},
      {"apiVersion: networking.istio.io/v1\nkind: Sidecar\n", 1, "not supported"},
      {"apiVersion: v2\nkind: Pod\nmetadata: {name: a}\n", 1, "version v2"},
  };
  for (const auto& c : cases) {
    const std::vector<Decoded> decoded = Decode(c.text);
    ASSERT_EQ(decoded.size(), 1u) << c.text;
    EXPECT_THAT(decoded[0].reason, HasSubstr(c.reason));
    EXPECT_EQ(decoded[0].line, c.line) << c.text;
    EXPECT_FALSE(decoded[0].object.has_value());
  }
}

}  // namespace
}  // namespace heddle::controlplane::api
