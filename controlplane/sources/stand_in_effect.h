#pragma once

#include "controlplane/api/object.h"
#include "controlplane/api/problem.h"

namespace heddle::controlplane::sources {

// What it means that this stands in for a refused policy.
api::Problem::Effect EffectOfStandIn(const api::Object& stand_in);

}  // namespace heddle::controlplane::sources
