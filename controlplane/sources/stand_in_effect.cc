#include "controlplane/sources/stand_in_effect.h"

#include <memory>
#include <variant>

namespace heddle::controlplane::sources {

using api::Problem;

Problem::Effect EffectOfStandIn(const api::Object& stand_in) {
  if (std::holds_alternative<std::shared_ptr<const api::PeerAuthentication>>(stand_in))
    return Problem::Effect::kStrict;
  if (std::holds_alternative<std::shared_ptr<const api::InterceptionPolicy>>(stand_in))
    return Problem::Effect::kExcludesNothing;
  const auto* policy = std::get_if<std::shared_ptr<const api::AuthorizationPolicy>>(&stand_in);
  const bool denies = policy != nullptr && !(*policy)->dry_run && !(*policy)->has_target_refs;
  return denies ? Problem::Effect::kDenyAll : Problem::Effect::kNothing;
}

}  // namespace heddle::controlplane::sources
