#pragma once

#include <cstddef>

#include "bench/agents/fleet.h"

namespace heddle::bench {

struct AnnouncementOptions {
  FleetOptions fleet;
  size_t changes = 100;
};

// For changes that somebody else makes, as at an API server: connects all agents, then says, a line of JSON each,
// that everything is there ({"connected": SECONDS}), and of each change that it is effective in all of them
// ({"at": [...]}, of every agent the nanoseconds of the machine's monotonic clock). The watched pod is to become not
// ready, ready, and so on in turns, each after the line before. Not 0 when anything failed; then the last line is
// {"error": "..."}.
int RunAnnouncement(const AnnouncementOptions& options);

}  // namespace heddle::bench
