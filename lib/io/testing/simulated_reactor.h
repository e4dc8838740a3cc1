#pragma once

#include <memory>

#include "lib/io/reactor.h"

namespace heddle::io {

// A reactor without a kernel, for loops of a simulation: it never waits, and every operation on a descriptor ends with
// EOPNOTSUPP on a later step, because a simulation has no descriptors.
std::unique_ptr<Reactor> MakeSimulatedReactor();

}  // namespace heddle::io
