#pragma once

#include <sys/types.h>

namespace heddle::bench {

// What a process has used so far; zeros when it is gone.
struct ProcessUsage {
  double cpu_seconds = 0;
  double resident_mb = 0;
  double resident_peak_mb = 0;
};
ProcessUsage UsageOf(pid_t pid);

}  // namespace heddle::bench
