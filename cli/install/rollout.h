#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// How far a Deployment or DaemonSet is, judged from what the API server has of it. Pure.
namespace heddle::cli {

struct Rollout {
  bool done = false;
  std::string sentence;  // "2 of 3 are ready".
  bool operator==(const Rollout&) const = default;
};
Rollout JudgeRollout(const nlohmann::json& workload);

// Why pods are not ready, from their own status and their events, newest last: one line a pod, at
// most kMaxPodReasons. Empty when all are.
inline constexpr size_t kMaxPodReasons = 5;
std::string WhyNotReady(const std::vector<nlohmann::json>& pods,
                        const std::vector<nlohmann::json>& events);

}  // namespace heddle::cli
