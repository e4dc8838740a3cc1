#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::bench {

// A component whose CPU time is wanted: a name, and the cgroup2 directory of its processes.
struct UsageSource {
  std::string name;
  std::string directory;
  // "NAME=DIRECTORY".
  static absl::StatusOr<UsageSource> Parse(std::string_view text);
};

// What was used since boot, at one moment.
struct UsageSample {
  std::map<std::string, int64_t> usec;  // By component.
  int64_t steal_ticks = 0;              // Of the machine: taken by the hypervisor,
  int64_t total_ticks = 0;              // and all, idle included.
};

// Reads cpu.stat of each component and /proc/stat.
absl::StatusOr<UsageSample> SampleUsage(const std::vector<UsageSource>& sources);

// usage_usec of cpu.stat's text (Documentation/admin-guide/cgroup-v2.rst).
absl::StatusOr<int64_t> ParseCpuStat(std::string_view text);
// Steal and total of the first line of /proc/stat (proc(5)); guest time is part of user time.
absl::StatusOr<std::pair<int64_t, int64_t>> ParseProcStat(std::string_view text);

}  // namespace heddle::bench
