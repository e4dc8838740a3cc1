#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "cli/cluster/fields.h"
#include "cli/preflight/cluster_checks.h"

// The API server is not in the mesh: what it calls must take connections without mutual TLS.
namespace heddle::cli {
namespace {

using Json = nlohmann::json;

// Something that the API server calls.
struct Call {
  std::string what;      // For people.
  const Json* service;   // {namespace, name, port}
  bool required = true;  // Requests fail when it cannot be called.
};

void AddWebhooks(const Objects& configurations, const char* kind, std::vector<Call>& calls) {
  for (const Json& configuration : configurations) {
    const Json& webhooks = Member(configuration, {"webhooks"});
    if (!webhooks.is_array()) continue;
    for (const Json& webhook : webhooks) {
      const Json& service = Member(webhook, {"clientConfig", "service"});
      if (!service.is_object()) continue;
      calls.push_back({absl::StrCat(kind, " ", NameOf(configuration)), &service,
                       Text(webhook, {"failurePolicy"}) != "Ignore"});
    }
  }
}

std::vector<Call> CallsOf(const ClusterFacts& facts) {
  std::vector<Call> calls;
  AddWebhooks(facts.mutating_webhooks, "MutatingWebhookConfiguration", calls);
  AddWebhooks(facts.validating_webhooks, "ValidatingWebhookConfiguration", calls);
  for (const Json& kind : facts.custom_kinds) {
    const Json& service =
        Member(kind, {"spec", "conversion", "webhook", "clientConfig", "service"});
    if (service.is_object())
      calls.push_back({absl::StrCat("conversion of ", NameOf(kind)), &service});
  }
  for (const Json& api : facts.api_services) {
    const Json& service = Member(api, {"spec", "service"});
    if (service.is_object()) calls.push_back({absl::StrCat("APIService ", NameOf(api)), &service});
  }
  return calls;
}

const Json* FindService(const ClusterFacts& facts, const Json& reference) {
  for (const Json& service : facts.services) {
    if (NameOf(service) == Text(reference, {"name"}) &&
        NamespaceOf(service) == Text(reference, {"namespace"})) {
      return &service;
    }
  }
  return nullptr;
}

// A port that a pod calls by name.
int64_t NamedPort(const Json& pod, const std::string& name) {
  const Json& containers = Member(pod, {"spec", "containers"});
  if (!containers.is_array()) return 0;
  for (const Json& container : containers) {
    const Json& ports = Member(container, {"ports"});
    if (!ports.is_array()) continue;
    for (const Json& port : ports) {
      if (Text(port, {"name"}) == name) return Integer(port, {"containerPort"}).value_or(0);
    }
  }
  return 0;
}

// The pod's port behind the service's; 0: not known.
int64_t TargetPort(const Json& service, int64_t port, const Json& pod) {
  const Json& ports = Member(service, {"spec", "ports"});
  if (!ports.is_array()) return 0;
  for (const Json& each : ports) {
    if (Integer(each, {"port"}) != port) continue;
    const std::string name = Text(each, {"targetPort"});
    return name.empty() ? Integer(each, {"targetPort"}).value_or(port) : NamedPort(pod, name);
  }
  return 0;
}

std::optional<std::string> ModeOf(const Json& policy) {
  const std::string mode = Text(policy, {"spec", "mtls", "mode"});
  return mode.empty() || mode == "UNSET" ? std::nullopt : std::optional(mode);
}

bool HasSelector(const Json& policy) {
  const Json& labels = Member(policy, {"spec", "selector", "matchLabels"});
  return labels.is_object() && !labels.empty();
}

// The oldest PeerAuthentication of a namespace, with a selector that selects the pod or without one.
const Json* OldestOf(const ClusterFacts& facts, const std::string& name_space, const Json* pod) {
  const Json* oldest = nullptr;
  const auto age = [](const Json& policy) {
    return std::tuple(Text(policy, {"metadata", "creationTimestamp"}), NameOf(policy));
  };
  for (const Json& policy : facts.peer_authentications) {
    if (NamespaceOf(policy) != name_space || HasSelector(policy) != (pod != nullptr)) continue;
    if (pod != nullptr && !Selects(Member(policy, {"spec", "selector"}), *pod)) continue;
    if (oldest == nullptr || age(policy) < age(*oldest)) oldest = &policy;
  }
  return oldest;
}

// What a port of a pod takes: the policy of the pod, of its namespace, of the mesh.
std::string EffectiveMode(const ClusterFacts& facts, const Json& pod, int64_t port) {
  if (const Json* own = OldestOf(facts, NamespaceOf(pod), &pod); own != nullptr) {
    const std::string of_port = Text(*own, {"spec", "portLevelMtls", absl::StrCat(port), "mode"});
    if (!of_port.empty() && of_port != "UNSET") return of_port;
    if (const auto mode = ModeOf(*own)) return *mode;
  }
  for (const std::string& level : {NamespaceOf(pod), facts.root_namespace}) {
    const Json* policy = OldestOf(facts, level, nullptr);
    if (policy == nullptr) continue;
    if (const auto mode = ModeOf(*policy)) return *mode;
  }
  return "PERMISSIVE";
}

// A port at which pods of the service take mutual TLS only; nothing when there is none.
std::optional<int64_t> StrictPort(const ClusterFacts& facts, const Call& call) {
  const Json* service = FindService(facts, *call.service);
  if (service == nullptr) return std::nullopt;
  const Json& selector = Member(*service, {"spec", "selector"});
  if (!selector.is_object() || selector.empty()) return std::nullopt;
  constexpr int64_t kHttps = 443;
  const int64_t service_port = Integer(*call.service, {"port"}).value_or(kHttps);
  for (const Json& pod : facts.pods) {
    if (NamespaceOf(pod) != NamespaceOf(*service) || !IsAlive(pod) || !IsEnrolled(facts, pod) ||
        !Selects({{"matchLabels", selector}}, pod)) {
      continue;
    }
    const int64_t port = TargetPort(*service, service_port, pod);
    if (EffectiveMode(facts, pod, port) == "STRICT") return port;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Finding> JudgeStrictCalls(const ClusterFacts& facts) {
  std::vector<Finding> findings;
  const std::vector<Call> calls = CallsOf(facts);
  for (const Call& call : calls) {
    const std::optional<int64_t> port = StrictPort(facts, call);
    if (!port) continue;
    const std::string service =
        absl::StrCat(Text(*call.service, {"namespace"}), "/", Text(*call.service, {"name"}));
    findings.push_back(
        {.check = "strict-calls",
         .verdict = call.required ? Verdict::kFailed : Verdict::kWarning,
         .sentence =
             absl::StrCat(call.what, ": the API server calls ", service,
                          ", whose pods take mutual TLS only, and is not in the mesh itself"),
         .advice = absl::StrCat("label those pods istio.io/dataplane-mode=none, or give them a "
                                "PeerAuthentication with portLevelMtls: {\"",
                                *port, "\": {mode: PERMISSIVE}}")});
  }
  if (findings.empty()) {
    findings.push_back(
        {.check = "strict-calls",
         .sentence =
             absl::StrCat("of ", calls.size(),
                          " webhooks and APIs that the API server calls, none is behind STRICT")});
  }
  return findings;
}

}  // namespace heddle::cli
