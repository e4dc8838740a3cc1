#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <set>

#include "cli/cluster/fields.h"
#include "cli/install/kinds.h"
#include "cli/install/rollout.h"
#include "cli/install/settings.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

Json Manifest() {
  std::ifstream file("deploy/manifest/heddle.json");
  return Json::parse(std::string{std::istreambuf_iterator<char>(file), {}});
}

Objects Made(const Settings& settings) {
  auto objects = MakeObjects(Manifest(), settings);
  EXPECT_TRUE(objects.ok()) << objects.status();
  return objects.ok() ? *std::move(objects) : Objects();
}

std::string AllText(const Objects& objects) { return Json(objects).dump(); }

TEST(MakeObjects, LeavesNoPlaceholderAndPutsTheDefaultsIn) {
  const std::string text = AllText(Made({}));
  EXPECT_THAT(text, Not(HasSubstr("placeholder")));
  for (const char* said :
       {"localhost/heddle-agent:", "--trust-domain=cluster.local", "--cni-conf-dir=/etc/cni/net.d",
        "--controller=heddle-controller.heddle-system.svc:15012"}) {
    EXPECT_THAT(text, HasSubstr(said));
  }
}

TEST(MakeObjects, PutsEverySettingIn) {
  const std::pair<const char*, const char*> cases[] = {
      {"image.registry=registry.example:5000/mesh", "registry.example:5000/mesh/heddle-agent:"},
      {"image.tag=v1.2", "/heddle-controller:v1.2"},
      {"image.pullPolicy=Always", R"("imagePullPolicy":"Always")"},
      {"mesh.trustDomain=td.example", "--trust-domain=td.example"},
      {"mesh.clusterId=east", "--cluster-id=east"},
      {"mesh.clusterDomain=east.local", "--cluster-domain=east.local"},
      {"mesh.rootNamespace=mesh-root", "--root-namespace=mesh-root"},
      {"log.level=debug", "--log-level=debug"},
      {"log.format=json", "--log-format=json"},
      {"agent.cni.platform=gke", "--cni-bin-dir=/home/kubernetes/bin"},
      {"agent.host.cgroup=/sys/fs/cgroup/unified", R"("path":"/sys/fs/cgroup/unified")"},
      {"agent.controllerAddress=192.0.2.1:15012", "--controller=192.0.2.1:15012"},
      {"agent.backend=epoll", "--backend=epoll"},
      {"controller.replicas=3", R"("replicas":3)"},
      {"validation.action=Warn", R"("validationActions":["Warn"])"},
  };
  for (const auto& [text, said] : cases) {
    Settings settings;
    ASSERT_TRUE(AddSetting(text, settings).ok()) << text;
    EXPECT_THAT(AllText(Made(settings)), HasSubstr(said)) << text;
  }
}

TEST(MakeObjects, GoesIntoTheNamespaceAndSaysWhoseTheObjectsAre) {
  const Objects objects = Made({.name_space = "mesh"});
  std::set<std::string> namespaces;
  for (const Json& object : objects) {
    EXPECT_EQ(Label(object, kManagedByLabel), kFieldManager);
    EXPECT_EQ(Label(object, kPartOfLabel), kHeddle);
    EXPECT_TRUE(KindOf(object).ok()) << KindOf(object).status();
    namespaces.insert(NamespaceOf(object));
  }
  EXPECT_EQ(namespaces, (std::set<std::string>{"", "mesh"}));
  EXPECT_EQ(Text(objects.front(), {"kind"}), "CustomResourceDefinition");
  EXPECT_EQ(Text(objects.back(), {"kind"}), "DaemonSet");
  EXPECT_THAT(AllText(objects), Not(HasSubstr("helm.sh/chart")));
}

TEST(MakeObjects, KeepsKindsAndTheNamespaceWhenTheRestGoes) {
  std::set<std::string> kept;
  for (const Json& object : Made({})) {
    if (IsKept(object)) kept.insert(Text(object, {"kind"}));
  }
  EXPECT_TRUE(kept.contains("CustomResourceDefinition") && kept.contains("Namespace"));
  EXPECT_FALSE(kept.contains("DaemonSet") || kept.contains("ClusterRole"));
}

TEST(AddSetting, RefusesWhatCannotBeSetAndSaysWhatCan) {
  const std::pair<const char*, const char*> cases[] = {
      {"image.registry", "NAME=VALUE"},
      {"agent.workers=3", "mesh.trustDomain=cluster.local"},
      {"log.level=loud", "not of the form"},
      {"controller.replicas=0", "not of the form"},
      {"image.registry=a b", "not of the form"},
      {"agent.host.cgroup=relative", "not of the form"},
  };
  for (const auto& [text, said] : cases) {
    Settings settings;
    EXPECT_THAT(std::string(AddSetting(text, settings).message()), HasSubstr(said)) << text;
    EXPECT_TRUE(settings.values.empty());
  }
}

TEST(MakeObjects, RefusesWhatIsNoManifestAndHalfOfAPair) {
  EXPECT_FALSE(MakeObjects(Json::array(), {}).ok());
  EXPECT_FALSE(MakeObjects({{"items", {{{"kind", "Alien"}, {"apiVersion", "v1"}}}}}, {}).ok());
  EXPECT_FALSE(MakeObjects(Manifest(), {.values = {{"agent.cni.confDir", "/x"}}}).ok());
  EXPECT_FALSE(MakeObjects(Manifest(), {.values = {{"agent.cni.platform", "openshift"}}}).ok());
}

TEST(JudgeRollout, WaitsForEveryPodOfThisVersion) {
  const struct {
    const char* workload;
    Rollout rollout;
  } cases[] = {
      {R"({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2}, "status":
          {"observedGeneration": 1}})",
       {false, "nobody has looked at it yet"}},
      {R"({"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 2}, "status":
          {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1}})",
       {false, "1 of 2 are ready"}},
      {R"({"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 2}, "status":
          {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3}})",
       {false, "2 of 2 are ready"}},
      {R"({"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 2}, "status":
          {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}})",
       {true, "2 of 2 are ready"}},
      {R"({"kind": "DaemonSet", "metadata": {"generation": 1}, "status":
          {"observedGeneration": 1, "desiredNumberScheduled": 3,
          "updatedNumberScheduled": 2, "numberReady": 3, "numberAvailable": 3}})",
       {false, "2 of 3 are ready"}},
      {R"({"kind": "DaemonSet", "metadata": {"generation": 1}, "status": {"observedGeneration": 1}})",
       {true, "0 of 0 are ready"}},
      {R"(null)", {false, "0 of 1 are ready"}},
  };
  for (const auto& c : cases)
    EXPECT_EQ(JudgeRollout(Json::parse(c.workload)), c.rollout) << c.workload;
}

TEST(WhyNotReady, PrefersTheNewestWarningThenTheContainerThenTheCondition) {
  const Json pod = Json::parse(
      R"({"metadata": {"name": "agent-1", "uid": "u1"}, "spec": {"nodeName": "n1"}, "status": {
      "phase": "Pending", "conditions": [{"type": "Ready", "status": "False", "message": "containers not ready"}],
      "containerStatuses": [{"name": "agent", "state":
          {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]}})");
  const auto event = [](const char* uid, const char* type, const char* time, const char* message) {
    return Json{{"involvedObject", {{"uid", uid}}},
                {"type", type},
                {"lastTimestamp", time},
                {"reason", "R"},
                {"message", message}};
  };
  EXPECT_EQ(WhyNotReady({pod}, {}), "  agent-1 on n1: agent: ErrImagePull no such image\n");
  EXPECT_EQ(WhyNotReady({pod}, {event("u1", "Warning", "2026-01-01", "old"),
                                event("u1", "Warning", "2026-01-02", "new"),
                                event("u1", "Warning", "2026-01-03", "Error: ErrImagePull"),
                                event("u1", "Normal", "2026-01-03", "fine"),
                                event("u2", "Warning", "2026-01-03", "other")}),
            "  agent-1 on n1: R: new\n");
  Json bare = pod;
  bare["status"].erase("containerStatuses");
  EXPECT_EQ(WhyNotReady({bare}, {}), "  agent-1 on n1: containers not ready\n");
  bare["status"]["conditions"][0]["status"] = "True";
  EXPECT_EQ(WhyNotReady({bare}, {}), "");
}

}  // namespace
}  // namespace heddle::cli
