#include "controlplane/status/condition.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"
#include "lib/kube/json_cursor.h"

namespace heddle::controlplane::status {
namespace {

using kube::FindJsonMember;
using kube::JsonCursor;
using kube::JsonText;

// More of them are not looked at: no object has as many.
constexpr int kMaxConditions = 64;

int64_t Number(std::string_view value) {
  int64_t number = 0;
  // Some schemas let it be written as a string.
  const std::string text = JsonText(value).value_or(std::string(value));
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

bool IsOurs(std::string_view type) {
  return type == kAccepted || type == kBound || type == kCaptured;
}

Condition ReadCondition(std::string_view json) {
  Condition condition;
  JsonCursor members(json);
  while (members.Next()) {
    const auto text = [&members] { return JsonText(members.value()).value_or(""); };
    if (members.key() == "type") condition.type = text();
    if (members.key() == "status") condition.holds = text() == "True";
    if (members.key() == "reason") condition.reason = text();
    if (members.key() == "message") condition.message = text();
    if (members.key() == "lastTransitionTime") condition.last_transition = text();
    if (members.key() == "observedGeneration")
      condition.observed_generation = Number(members.value());
  }
  return condition;
}

const Condition* Find(const std::vector<Condition>& conditions, const std::string& type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  return found == conditions.end() ? nullptr : &*found;
}

}  // namespace

std::optional<PresentStatus> ReadPresentStatus(const kube::RawObject& object,
                                               std::string collection) {
  const std::string_view metadata = FindJsonMember(object.json, "metadata");
  if (metadata.empty()) return std::nullopt;
  PresentStatus present{.uid = JsonText(FindJsonMember(metadata, "uid")).value_or(""),
                        .generation = Number(FindJsonMember(metadata, "generation")),
                        .collection = std::move(collection)};
  const std::string_view status = FindJsonMember(object.json, "status");
  const std::string_view list =
      status.empty() ? std::string_view() : FindJsonMember(status, "conditions");
  if (list.empty() || list.front() != '[') return present;
  JsonCursor conditions(list);
  for (int i = 0; i < kMaxConditions && conditions.Next(); ++i) {
    Condition condition = ReadCondition(conditions.value());
    if (IsOurs(condition.type)) present.conditions.push_back(std::move(condition));
  }
  return present;
}

std::string TransitionTime(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::vector<Condition> WithTransitions(std::vector<Condition> wanted,
                                       const std::vector<Condition>& present, absl::Time now) {
  for (Condition& condition : wanted) {
    const Condition* before = Find(present, condition.type);
    const bool same =
        before != nullptr && before->holds == condition.holds && !before->last_transition.empty();
    condition.last_transition = same ? before->last_transition : TransitionTime(now);
  }
  return wanted;
}

bool SaySame(const std::vector<Condition>& a, const std::vector<Condition>& b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&b](const Condition& condition) {
           const Condition* other = Find(b, condition.type);
           return other != nullptr && condition.Says(*other);
         });
}

}  // namespace heddle::controlplane::status
