#include "controlplane/sources/latest_objects.h"

#include <utility>

#include "controlplane/sources/stand_in_effect.h"

namespace heddle::controlplane::sources {

using api::ObjectKey;
using api::Problem;

void LatestObjects::Set(const ObjectKey& key, api::Decoded decoded) {
  // A decoder that reads another name than the server gave has read another object.
  if (decoded.object.has_value() && decoded.key != key)
    decoded = api::RefuseObject(key, "is not what its name says");
  if (decoded.object.has_value()) {
    refused_.erase(key);
    return Put(key, *std::move(decoded.object), false);
  }
  refused_[key] = std::move(decoded.reason);
  const auto found = effective_.find(key);
  const bool was_good = found != effective_.end() && !found->second.stand_in;
  if (!was_good && decoded.stand_in.has_value() && decoded.key == key)
    Put(key, *std::move(decoded.stand_in), true);
}

void LatestObjects::Put(const ObjectKey& key, api::Object object, bool stand_in) {
  const auto found = effective_.find(key);
  const bool same = found != effective_.end() && api::SameObject(found->second.object, object);
  if (same) {
    found->second.stand_in = stand_in;
    return;
  }
  untold_[key] = object;
  effective_.insert_or_assign(key, Effective{std::move(object), stand_in});
}

void LatestObjects::Remove(const ObjectKey& key) {
  refused_.erase(key);
  if (effective_.erase(key) > 0) untold_[key] = std::nullopt;
}

api::StoreDiff LatestObjects::TakeDiff() {
  api::StoreDiff diff;
  for (auto& [key, object] : std::exchange(untold_, {})) {
    if (object.has_value()) {
      diff.upserted.push_back(*std::move(object));
    } else {
      diff.removed.push_back(key);
    }
  }
  return diff;
}

std::vector<Problem> LatestObjects::Problems() const {
  std::vector<Problem> problems;
  for (const auto& [key, reason] : refused_) {
    Problem problem{.object = key, .kind = std::string(api::ToString(key.kind)), .reason = reason};
    const auto found = effective_.find(key);
    if (found != effective_.end()) {
      problem.effect = found->second.stand_in ? EffectOfStandIn(found->second.object)
                                              : Problem::Effect::kLastGoodKept;
    }
    problems.push_back(std::move(problem));
  }
  return problems;
}

}  // namespace heddle::controlplane::sources
