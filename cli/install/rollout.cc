#include "cli/install/rollout.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/cluster/fields.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

int64_t Count(const Json& workload, std::string_view field) {
  return Integer(workload, {"status", field}).value_or(0);
}

// The condition's status, "True", "False", "Unknown" or empty.
const Json* Condition(const Json& object, std::string_view type) {
  const Json& conditions = Member(object, {"status", "conditions"});
  if (!conditions.is_array()) return nullptr;
  const auto found = std::ranges::find_if(
      conditions, [type](const Json& each) { return Text(each, {"type"}) == type; });
  return found == conditions.end() ? nullptr : &*found;
}

// What a container waits for, or how it ended last.
std::string ContainerReason(const Json& pod) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    const Json& containers = Member(pod, {"status", list});
    if (!containers.is_array()) continue;
    for (const Json& container : containers) {
      const std::string waiting = Text(container, {"state", "waiting", "reason"});
      const std::string ended = Text(container, {"lastState", "terminated", "message"});
      if (waiting.empty() || waiting == "PodInitializing") continue;
      return absl::StrCat(Text(container, {"name"}), ": ", waiting, " ",
                          Text(container, {"state", "waiting", "message"}),
                          ended.empty() ? "" : "; ", ended);
    }
  }
  return "";
}

std::string TimeOf(const Json& event) {
  const std::string last = Text(event, {"lastTimestamp"});
  return last.empty() ? Text(event, {"eventTime"}) : last;
}

// "Error: ImagePullBackOff", one word: the kubelet has said before which image, and why not.
bool IsRepetition(std::string_view message) {
  constexpr std::string_view kError = "Error: ";
  return message.starts_with(kError) && message.find(' ', kError.size()) == std::string_view::npos;
}

std::string NewestWarning(const std::string& pod_uid, const std::vector<Json>& events) {
  const Json* newest = nullptr;
  for (const Json& event : events) {
    if (Text(event, {"involvedObject", "uid"}) != pod_uid || Text(event, {"type"}) != "Warning")
      continue;
    if (IsRepetition(Text(event, {"message"}))) continue;
    if (newest == nullptr || TimeOf(*newest) <= TimeOf(event)) newest = &event;
  }
  return newest == nullptr
             ? ""
             : absl::StrCat(Text(*newest, {"reason"}), ": ", Text(*newest, {"message"}));
}

std::string WhyNot(const Json& pod, const std::vector<Json>& events) {
  std::string why = NewestWarning(Text(pod, {"metadata", "uid"}), events);
  if (why.empty()) why = ContainerReason(pod);
  for (const char* type : {"PodScheduled", "Ready"}) {
    const Json* condition = Condition(pod, type);
    if (why.empty() && condition != nullptr && Text(*condition, {"status"}) != "True")
      why = Text(*condition, {"message"});
  }
  return why.empty() ? absl::StrCat("is ", Text(pod, {"status", "phase"})) : why;
}

}  // namespace

Rollout JudgeRollout(const Json& workload) {
  const int64_t generation = Integer(workload, {"metadata", "generation"}).value_or(0);
  if (Count(workload, "observedGeneration") < generation)
    return {false, "nobody has looked at it yet"};
  const bool agents = Text(workload, {"kind"}) == "DaemonSet";
  const int64_t wanted = agents ? Count(workload, "desiredNumberScheduled")
                                : Integer(workload, {"spec", "replicas"}).value_or(1);
  const int64_t updated = Count(workload, agents ? "updatedNumberScheduled" : "updatedReplicas");
  const int64_t ready = Count(workload, agents ? "numberReady" : "readyReplicas");
  const int64_t available = Count(workload, agents ? "numberAvailable" : "availableReplicas");
  const int64_t all = agents ? wanted : Count(workload, "replicas");
  const bool done = updated >= wanted && ready >= wanted && available >= wanted && all <= wanted;
  return {done, absl::StrCat(std::min(updated, ready), " of ", wanted, " are ready")};
}

std::string WhyNotReady(const std::vector<Json>& pods, const std::vector<Json>& events) {
  std::string text;
  size_t told = 0;
  for (const Json& pod : pods) {
    const Json* ready = Condition(pod, "Ready");
    if (ready != nullptr && Text(*ready, {"status"}) == "True") continue;
    if (++told > kMaxPodReasons) break;
    const std::string node = Text(pod, {"spec", "nodeName"});
    absl::StrAppend(&text, "  ", NameOf(pod), node.empty() ? "" : absl::StrCat(" on ", node), ": ",
                    WhyNot(pod, events), "\n");
  }
  return text;
}

}  // namespace heddle::cli
