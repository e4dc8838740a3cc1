#pragma once

#include <deque>
#include <string>
#include <vector>

#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// What the loops of a process say about their turns, as metrics with the loop's name. Any thread.
class LoopMetrics {
 public:
  struct Named {
    io::Loop* loop = nullptr;
    std::string name;
  };
  // The loops outlive this.
  LoopMetrics(metrics::Registry& registry, const std::vector<Named>& loops);

 private:
  std::deque<metrics::Reading> readings_;
};

}  // namespace heddle::agent
