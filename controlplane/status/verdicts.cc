#include "controlplane/status/verdicts.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "controlplane/translate/enrollment.h"
#include "lib/base/strings.h"

namespace heddle::controlplane::status {
namespace {

// Longer ones are cut: an API server takes 32 KiB, people read a line or two.
constexpr size_t kMaxMessageBytes = 1024;

std::string Cut(std::string text) {
  if (text.size() <= kMaxMessageBytes) return text;
  text.resize(kMaxMessageBytes - 3);
  return text + "...";
}

bool IsPolicy(api::Kind kind) {
  return kind == api::Kind::kAuthorizationPolicy || kind == api::Kind::kPeerAuthentication ||
         kind == api::Kind::kInterceptionPolicy;
}

// The pods of the mesh by what a policy can select them by.
class EnrolledPods {
 public:
  EnrolledPods(const api::ObjectStore& objects, const translate::MeshOptions& options)
      : root_namespace_(options.root_namespace) {
    for (const auto& [name, pod] : objects.All<api::Pod>()) {
      if (pod->terminal || !translate::IsEnrolled(*pod, objects, options)) continue;
      pods_.push_back(pod.get());
      ++by_namespace_[name.name_space];
      for (const auto& [key, value] : pod->meta.labels)
        by_label_[{key, value}].push_back(pod.get());
    }
  }

  const std::vector<const api::Pod*>& pods() const { return pods_; }

  template <typename Policy>
  size_t CountFor(const Policy& policy) const {
    const bool whole_mesh = policy.meta.name_space == root_namespace_;
    if (policy.selector.empty()) {
      if (whole_mesh) return pods_.size();
      const auto found = by_namespace_.find(policy.meta.name_space);
      return found == by_namespace_.end() ? 0 : found->second;
    }
    const std::pair<std::string, std::string> first = *policy.selector.begin();
    const auto candidates = by_label_.find(first);
    if (candidates == by_label_.end()) return 0;
    size_t count = 0;
    for (const api::Pod* pod : candidates->second) {
      const bool in_reach = whole_mesh || pod->meta.name_space == policy.meta.name_space;
      if (in_reach && api::Selects(policy.selector, pod->meta.labels)) ++count;
    }
    return count;
  }

 private:
  const std::string root_namespace_;
  std::vector<const api::Pod*> pods_;
  absl::flat_hash_map<std::string, size_t> by_namespace_;
  absl::flat_hash_map<std::pair<std::string, std::string>, std::vector<const api::Pod*>> by_label_;
};

template <typename Policy>
void JudgeKind(api::Kind kind, const Knowledge& knowledge, const EnrolledPods& pods,
               Verdicts& verdicts) {
  for (const auto& [name, policy] : knowledge.objects.All<Policy>()) {
    PolicyVerdict& verdict = verdicts.policies[{kind, name}];
    verdict.reason = "Accepted";
    verdict.message = "in effect";
    verdict.workloads = pods.CountFor(*policy);
  }
}

void AddStatuses(const Knowledge& knowledge, Verdicts& verdicts) {
  for (const api::ObjectStatus& status : knowledge.statuses) {
    const auto found = verdicts.policies.find(status.object);
    if (found == verdicts.policies.end()) continue;
    if (!status.note.empty()) found->second.message = Cut(status.note);
    if (status.effective) continue;
    found->second.accepted = false;
    found->second.reason = "NoEffect";
    found->second.binds = false;
  }
}

// What is refused may have no object in effect at all.
void AddProblems(const Knowledge& knowledge, Verdicts& verdicts) {
  for (const api::Problem& problem : knowledge.problems) {
    if (!problem.object.has_value() || !IsPolicy(problem.object->kind)) continue;
    PolicyVerdict& verdict = verdicts.policies[*problem.object];
    verdict.accepted = false;
    verdict.reason = "Invalid";
    verdict.message =
        Cut(absl::StrCat(problem.reason, "; ", ToAbsl(api::Describe(problem.effect))));
    verdict.binds = problem.effect != api::Problem::Effect::kNothing;
  }
}

}  // namespace

Verdicts Judge(const Knowledge& knowledge, const translate::MeshOptions& options) {
  const EnrolledPods pods(knowledge.objects, options);
  Verdicts verdicts;
  JudgeKind<api::AuthorizationPolicy>(api::Kind::kAuthorizationPolicy, knowledge, pods, verdicts);
  JudgeKind<api::PeerAuthentication>(api::Kind::kPeerAuthentication, knowledge, pods, verdicts);
  JudgeKind<api::InterceptionPolicy>(api::Kind::kInterceptionPolicy, knowledge, pods, verdicts);
  AddStatuses(knowledge, verdicts);
  AddProblems(knowledge, verdicts);
  for (const api::Pod* pod : pods.pods()) {
    if (pod->ips.empty() || pod->node_name.empty()) continue;
    const auto node = knowledge.captured.find(pod->node_name);
    verdicts.pods.push_back(
        {.name = api::NameOf(pod->meta),
         .uid = pod->meta.uid,
         .node = pod->node_name,
         .captured = node != knowledge.captured.end() && node->second.contains(pod->meta.uid)});
  }
  return verdicts;
}

}  // namespace heddle::controlplane::status
