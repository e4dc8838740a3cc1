#include "cli/install/settings.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "agent/node/cni_paths.h"
#include "cli/cluster/fields.h"
#include "cli/install/kinds.h"
#include "lib/base/status.h"
#include "lib/base/version.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

constexpr char kPath[] = "/[^\\s:\"\\\\]*";
constexpr char kDns[] = "[a-z0-9]([a-z0-9.-]*[a-z0-9])?";
constexpr char kWord[] = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?";
constexpr char kNamespaceInManifest[] = "heddle-placeholder-namespace";

// What stands in the manifest (scripts/manifest.py, or the chart's default) in place of a setting.
struct Place {
  const char* name;
  const char* in_manifest;  // The whole of it is replaced, wherever it stands in a text.
  const char* before;       // What stays in front of the value.
  const char* fallback;     // "@namespace", "@version": of this install.
  const char* pattern;
};
constexpr Place kPlaces[] = {
    {"image.registry", "placeholder.invalid/registry", "", "localhost",
     "[^\\s/\"\\\\]+(/[^\\s/\"\\\\]+)*"},
    {"image.tag", "placeholder-tag", "", "@version", "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"},
    {"mesh.trustDomain", "placeholder-trust-domain", "", "cluster.local", "[a-z0-9._-]{1,255}"},
    {"mesh.clusterId", "placeholder-cluster-id", "", "Kubernetes", kWord},
    {"mesh.clusterDomain", "placeholder-cluster-domain", "", "cluster.local", kDns},
    {"mesh.rootNamespace", "placeholder-root-namespace", "", "istio-system", kDns},
    {"log.level", "--log-level=info", "--log-level=", "info", "debug|info|warn|error"},
    {"log.format", "--log-format=text", "--log-format=", "text", "text|json"},
    {"agent.cni.confDir", "/placeholder/cni/conf", "", "/etc/cni/net.d", kPath},
    {"agent.cni.binDir", "/placeholder/cni/bin", "", "/opt/cni/bin", kPath},
    {"agent.host.cgroup", "/placeholder/cgroup", "", "/sys/fs/cgroup", kPath},
    {"agent.controllerAddress", "placeholder-controller:15012", "",
     "heddle-controller.@namespace.svc:15012",
     "[a-zA-Z0-9.-]+:[0-9]{1,5}|\\[[0-9a-f:]+\\]:[0-9]{1,5}"},
    {"agent.backend", "--backend=auto", "--backend=", "auto", "auto|io_uring|epoll"},
};
// Those that are no text in the manifest.
constexpr char kReplicas[] = "controller.replicas";
constexpr char kPullPolicy[] = "image.pullPolicy";
constexpr char kPlatform[] = "agent.cni.platform";
constexpr char kValidation[] = "validation.action";
struct Other {
  const char* name;
  const char* fallback;
  const char* pattern;
};
constexpr Other kOthers[] = {{kReplicas, "as the chart", "[1-9]"},
                             {kPullPolicy, "IfNotPresent", "Always|IfNotPresent|Never"},
                             {kPlatform, "default", "[a-z0-9]+"},
                             {kValidation, "Deny", "Deny|Warn|Audit"}};

using Replacements = std::vector<std::pair<std::string, std::string>>;

absl::StatusOr<Replacements> MakeReplacements(const Settings& settings) {
  std::map<std::string, std::string> values = settings.values;
  if (const auto platform = values.find(kPlatform); platform != values.end()) {
    TRY_ASSIGN(const agent::CniPaths paths, agent::CniPathsOf(platform->second));
    values.emplace("agent.cni.confDir", paths.conf_dir);
    values.emplace("agent.cni.binDir", paths.bin_dir);
  }
  if (values.contains("agent.cni.confDir") != values.contains("agent.cni.binDir"))
    return absl::InvalidArgumentError("agent.cni.confDir and agent.cni.binDir go together");
  Replacements replacements = {{kNamespaceInManifest, settings.name_space}};
  for (const Place& place : kPlaces) {
    const auto given = values.find(place.name);
    const std::string value =
        given != values.end()
            ? given->second
            : absl::StrReplaceAll(place.fallback,
                                  {{"@namespace", settings.name_space}, {"@version", kVersion}});
    replacements.emplace_back(place.in_manifest, absl::StrCat(place.before, value));
  }
  return replacements;
}

// Everywhere in the values of the object; its keys are not looked at.
void Replace(Json& at, const Replacements& replacements) {
  if (at.is_string()) {
    at = absl::StrReplaceAll(at.get_ref<const std::string&>(), replacements);
  } else if (at.is_structured()) {
    for (Json& inner : at) Replace(inner, replacements);
  }
}

void Adjust(Json& object, const Settings& settings) {
  const std::string kind = Text(object, {"kind"});
  const auto value = [&settings](const char* name) -> const std::string* {
    const auto found = settings.values.find(name);
    return found == settings.values.end() ? nullptr : &found->second;
  };
  if (const std::string* replicas = value(kReplicas); replicas != nullptr && kind == "Deployment")
    object["spec"]["replicas"] = replicas->front() - '0';
  if (const std::string* action = value(kValidation);
      action != nullptr && kind == "ValidatingAdmissionPolicyBinding") {
    object["spec"]["validationActions"] = {*action};
  }
  const std::string* pull = value(kPullPolicy);
  if (pull == nullptr || !Member(object, {"spec", "template", "spec"}).is_object()) return;
  Json& pod = object["spec"]["template"]["spec"];
  for (const char* list : {"initContainers", "containers"}) {
    if (!pod.contains(list)) continue;
    for (Json& container : pod[list]) container["imagePullPolicy"] = *pull;
  }
}

// Agents have the node's network and folders, which only the level privileged admits.
Json NamespaceObject(const std::string& name) {
  return {{"apiVersion", "v1"},
          {"kind", "Namespace"},
          {"metadata",
           {{"name", name},
            {"labels", {{"pod-security.kubernetes.io/enforce", "privileged"}}},
            {"annotations", {{kKeepAnnotation, "keep"}}}}}};
}

}  // namespace

absl::Status AddSetting(const std::string& text, Settings& settings) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos)
    return absl::InvalidArgumentError(absl::StrCat("--set takes NAME=VALUE, not '", text, "'"));
  const std::string name = text.substr(0, equals);
  const std::string value = text.substr(equals + 1);
  const char* pattern = nullptr;
  for (const Place& place : kPlaces) {
    if (name == place.name) pattern = place.pattern;
  }
  for (const Other& other : kOthers) {
    if (name == other.name) pattern = other.pattern;
  }
  if (pattern == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' cannot be set here; what can be is:\n", DescribeSettings(),
                     "For everything else there is the Helm chart."));
  }
  if (!RE2::FullMatch(value, pattern))
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": '", value, "' is not of the form ", pattern));
  settings.values[name] = value;
  return absl::OkStatus();
}

std::string DescribeSettings() {
  std::string text;
  for (const Place& place : kPlaces)
    absl::StrAppend(&text, "  ", place.name, "=", place.fallback, "\n");
  for (const Other& other : kOthers)
    absl::StrAppend(&text, "  ", other.name, "=", other.fallback, "\n");
  return text;
}

absl::StatusOr<std::vector<Json>> MakeObjects(const Json& manifest, const Settings& settings) {
  const Json& items = Member(manifest, {"items"});
  if (!items.is_array() || items.empty())
    return absl::InvalidArgumentError("the manifest is not a List with items");
  TRY_ASSIGN(const Replacements replacements, MakeReplacements(settings));
  std::vector<std::pair<const Kind*, Json>> made;
  for (const Json& item : items) {
    Json object = item;
    Replace(object, replacements);
    TRY_ASSIGN(const Kind* kind, KindOf(object));
    Adjust(object, settings);
    made.emplace_back(kind, std::move(object));
  }
  Json name_space = NamespaceObject(settings.name_space);
  TRY_ASSIGN(const Kind* namespaces, KindOf(name_space));
  made.emplace_back(namespaces, std::move(name_space));
  // The table is in the order of applying.
  std::ranges::sort(made, {},
                    [](const auto& each) { return std::pair(each.first, NameOf(each.second)); });
  std::vector<Json> objects;
  for (auto& [kind, object] : made) {
    Json& labels = object["metadata"]["labels"];
    labels[kPartOfLabel] = kHeddle;
    labels[kManagedByLabel] = kFieldManager;
    labels[kVersionLabel] = kVersion;
    objects.push_back(std::move(object));
  }
  return objects;
}

std::string RemovalPath(const std::string& name_space) {
  return absl::StrCat("/api/v1/namespaces/", name_space, "/configmaps/", kRemovalName);
}

bool IsKept(const Json& object) {
  return Text(object, {"metadata", "annotations", kKeepAnnotation}) == "keep";
}

}  // namespace heddle::cli
