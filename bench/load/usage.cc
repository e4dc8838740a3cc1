#include "bench/load/usage.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <fstream>
#include <sstream>

#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::bench {
namespace {

// Kernel files have no size: read until they end.
absl::StatusOr<std::string> ReadKernelFile(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return text.str();
}

}  // namespace

absl::StatusOr<UsageSource> UsageSource::Parse(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos || equals + 1 == text.size())
    return absl::InvalidArgumentError(absl::StrCat("not NAME=DIRECTORY: ", ToAbsl(text)));
  return UsageSource{.name = std::string(text.substr(0, equals)),
                     .directory = std::string(text.substr(equals + 1))};
}

absl::StatusOr<int64_t> ParseCpuStat(std::string_view text) {
  for (const absl::string_view line : absl::StrSplit(ToAbsl(text), '\n')) {
    const std::pair<absl::string_view, absl::string_view> words =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    int64_t value = 0;
    if (words.first == "usage_usec" && absl::SimpleAtoi(words.second, &value)) return value;
  }
  return absl::InvalidArgumentError("cpu.stat has no usage_usec");
}

absl::StatusOr<std::pair<int64_t, int64_t>> ParseProcStat(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::vector<absl::string_view> words = absl::StrSplit(ToAbsl(line), ' ', absl::SkipEmpty());
  // cpu user nice system idle iowait irq softirq steal ...
  constexpr size_t kSteal = 8;
  if (words.size() <= kSteal || words[0] != "cpu")
    return absl::InvalidArgumentError("/proc/stat does not begin with the CPU line");
  int64_t total = 0;
  int64_t value = 0;
  for (size_t i = 1; i <= kSteal; ++i) {
    if (!absl::SimpleAtoi(words[i], &value))
      return absl::InvalidArgumentError("/proc/stat has no numbers");
    total += value;
  }
  return std::pair(value, total);
}

absl::StatusOr<UsageSample> SampleUsage(const std::vector<UsageSource>& sources) {
  UsageSample sample;
  for (const UsageSource& source : sources) {
    TRY_ASSIGN(const std::string text, ReadKernelFile(source.directory + "/cpu.stat"));
    TRY_ASSIGN(sample.usec[source.name], ParseCpuStat(text));
  }
  TRY_ASSIGN(const std::string stat, ReadKernelFile("/proc/stat"));
  TRY_ASSIGN(const auto ticks, ParseProcStat(stat));
  sample.steal_ticks = ticks.first;
  sample.total_ticks = ticks.second;
  return sample;
}

}  // namespace heddle::bench
