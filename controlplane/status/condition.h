#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/object.h"

namespace heddle::controlplane::status {

// One entry of an object's status.conditions. A value.
struct Condition {
  std::string type;
  bool holds = false;  // "True" or "False".
  std::string reason;  // One word.
  std::string message;
  // Not of pods, whose API drops it.
  int64_t observed_generation = 0;
  std::string last_transition;  // As it is written there.
  // The same for a reader: the time of the transition follows from the rest.
  bool Says(const Condition& other) const {
    return type == other.type && holds == other.holds && reason == other.reason &&
           message == other.message && observed_generation == other.observed_generation;
  }
};

// What an object has of ours, as far as a writer of its status needs to know.
struct PresentStatus {
  std::string uid;
  int64_t generation = 0;
  // "/apis/security.istio.io/v1/authorizationpolicies": in which version it was read.
  std::string collection;
  std::vector<Condition> conditions;  // Of our types only.
};

inline constexpr char kAccepted[] = "Accepted";
inline constexpr char kBound[] = "heddle.io/Bound";
inline constexpr char kCaptured[] = "heddle.io/captured";

// Reads an object as the API server sent it. Nothing when it is none. What cannot be read of its status
// is as if it were not there.
std::optional<PresentStatus> ReadPresentStatus(const kube::RawObject& object,
                                               std::string collection);

// RFC 3339, to the second, as conditions have it.
std::string TransitionTime(absl::Time time);

// `wanted` with the times of transition: of `present` where it holds or not as before, else now.
std::vector<Condition> WithTransitions(std::vector<Condition> wanted,
                                       const std::vector<Condition>& present, absl::Time now);
// True when both say the same, in whatever order.
bool SaySame(const std::vector<Condition>& a, const std::vector<Condition>& b);

}  // namespace heddle::controlplane::status
