#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/cluster/fields.h"
#include "cli/preflight/cluster_checks.h"

// NetworkPolicies are about the packets that are sent, and between pods of the mesh those go to port
// 15008. A policy that lets pods be reached at the ports of their applications, and at those alone,
// cuts them off.
namespace heddle::cli {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMeshPort = 15008;
constexpr size_t kMaxNamed = 3;  // Pods that a sentence names.

struct Direction {
  const char* type;   // In policyTypes.
  const char* rules;  // The field.
  const char* verb;   // Of the sentence.
};
constexpr Direction kIngress = {"Ingress", "ingress", "be reached"};
constexpr Direction kEgress = {"Egress", "egress", "reach others"};

// Without policyTypes a policy is about ingress, and about egress when it has such rules.
bool IsAbout(const Json& policy, const Direction& direction) {
  const Json& types = Member(policy, {"spec", "policyTypes"});
  if (types.is_array() && !types.empty())
    return std::ranges::find(types, Json(direction.type)) != types.end();
  return std::string_view(direction.type) == kIngress.type ||
         Member(policy, {"spec", direction.rules}).is_array();
}

bool PortAllows(const Json& port) {
  const std::string protocol = Text(port, {"protocol"});
  if (!protocol.empty() && protocol != "TCP") return false;
  if (Member(port, {"port"}).is_null()) return true;
  const auto first = Integer(port, {"port"});
  if (!first) return false;  // A named port: an application's.
  return *first <= kMeshPort && kMeshPort <= Integer(port, {"endPort"}).value_or(*first);
}

bool RuleAllows(const Json& rule) {
  const Json& ports = Member(rule, {"ports"});
  return !ports.is_array() || ports.empty() || std::ranges::any_of(ports, PortAllows);
}

struct Verdicts {
  bool allows_something = false;
  bool allows_mesh = false;
  std::set<std::string> policies;
};

Verdicts Evaluate(const ClusterFacts& facts, const Json& pod, const Direction& direction) {
  Verdicts verdicts;
  for (const Json& policy : facts.network_policies) {
    if (NamespaceOf(policy) != NamespaceOf(pod) || !IsAbout(policy, direction) ||
        !Selects(Member(policy, {"spec", "podSelector"}), pod)) {
      continue;
    }
    verdicts.policies.insert(NameOf(policy));
    const Json& rules = Member(policy, {"spec", direction.rules});
    if (!rules.is_array()) continue;
    verdicts.allows_something |= !rules.empty();
    verdicts.allows_mesh |= std::ranges::any_of(rules, RuleAllows);
  }
  return verdicts;
}

// Pods that the same policies cut off alike.
struct Group {
  std::string name_space;
  std::string policies;
  bool enrolled = false;
  auto operator<=>(const Group&) const = default;
};

Finding Say(const Group& group, const std::vector<std::string>& pods, const Direction& direction) {
  const std::vector<std::string> named(pods.begin(),
                                       pods.begin() + std::min<long>(kMaxNamed, std::ssize(pods)));
  return {.check = "network-policies",
          .verdict = group.enrolled ? Verdict::kFailed : Verdict::kWarning,
          .sentence = absl::StrCat(
              "in namespace ", group.name_space, " the policies ", group.policies, " let ",
              pods.size(), " pods ", direction.verb, ", but not by port ", kMeshPort, " (",
              absl::StrJoin(named, ", "), pods.size() > kMaxNamed ? ", ..." : "", ")",
              group.enrolled ? "" : "; they are not in the mesh"),
          .advice = absl::StrCat("add a rule to ", direction.rules,
                                 ": ports: [{protocol: TCP, port: ", kMeshPort, "}]")};
}

void Judge(const ClusterFacts& facts, const Direction& direction, std::vector<Finding>& findings) {
  std::map<Group, std::vector<std::string>> groups;
  for (const Json& pod : facts.pods) {
    if (!IsAlive(pod) || IsTrue(pod, {"spec", "hostNetwork"})) continue;
    const Verdicts verdicts = Evaluate(facts, pod, direction);
    if (!verdicts.allows_something || verdicts.allows_mesh) continue;
    groups[{NamespaceOf(pod), absl::StrJoin(verdicts.policies, ", "), IsEnrolled(facts, pod)}]
        .push_back(NameOf(pod));
  }
  for (const auto& [group, pods] : groups) findings.push_back(Say(group, pods, direction));
}

}  // namespace

std::vector<Finding> JudgeNetworkPolicies(const ClusterFacts& facts) {
  std::vector<Finding> findings;
  Judge(facts, kIngress, findings);
  Judge(facts, kEgress, findings);
  if (findings.empty()) {
    findings.push_back(
        {.check = "network-policies",
         .sentence = absl::StrCat("of ", facts.network_policies.size(),
                                  " NetworkPolicies none cuts pods off from port ", kMeshPort)});
  }
  return findings;
}

}  // namespace heddle::cli
