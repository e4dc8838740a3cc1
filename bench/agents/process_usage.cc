#include "bench/agents/process_usage.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace heddle::bench {
namespace {

constexpr double kKilobytesPerMegabyte = 1e6 / 1024;

double CpuSeconds(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');  // A name may hold anything.
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field)
    fields >> skipped;  // proc(5): utime and stime are 14 and 15.
  double user = 0;
  double kernel = 0;
  fields >> user >> kernel;
  return (user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessUsage UsageOf(pid_t pid) {
  ProcessUsage usage{.cpu_seconds = CpuSeconds(pid)};
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string key; status >> key;) {
    double kilobytes = 0;
    if (key == "VmRSS:" && status >> kilobytes)
      usage.resident_mb = kilobytes / kKilobytesPerMegabyte;
    if (key == "VmHWM:" && status >> kilobytes)
      usage.resident_peak_mb = kilobytes / kKilobytesPerMegabyte;
  }
  return usage;
}

}  // namespace heddle::bench
