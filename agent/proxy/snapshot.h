#pragma once

#include <memory>

#include "agent/model/state.h"
#include "agent/seams/certificates.h"

namespace heddle::agent {

// What the control thread has decided, as one value: a worker takes the next one between two turns
// of its loop, whole or not at all. Never null once published.
struct Snapshot {
  std::shared_ptr<const State> state;
  std::shared_ptr<const Certificates> certificates;
};

}  // namespace heddle::agent
