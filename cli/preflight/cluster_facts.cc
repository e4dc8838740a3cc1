#include "cli/preflight/cluster_facts.h"

#include "cli/cluster/fields.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

constexpr char kModeLabel[] = "istio.io/dataplane-mode";
const Json kNull;

}  // namespace

const Json& FindNamespace(const ClusterFacts& facts, const std::string& name) {
  for (const Json& each : facts.namespaces) {
    if (NameOf(each) == name) return each;
  }
  return kNull;
}

bool IsEnrolled(const ClusterFacts& facts, const Json& pod) {
  if (IsTrue(pod, {"spec", "hostNetwork"})) return false;
  if (!Text(pod, {"metadata", "annotations", "sidecar.istio.io/status"}).empty()) return false;
  std::string mode = Label(pod, kModeLabel);
  if (mode.empty()) mode = Label(FindNamespace(facts, NamespaceOf(pod)), kModeLabel);
  return mode == "ambient";
}

bool IsAlive(const Json& pod) {
  const std::string phase = Text(pod, {"status", "phase"});
  return phase != "Succeeded" && phase != "Failed";
}

}  // namespace heddle::cli
