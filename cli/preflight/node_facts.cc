#include "cli/preflight/node_facts.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "lib/base/strings.h"

namespace heddle::cli {

// "36 35 98:0 /root /mount/point options [optional...] - type source super-options"
std::vector<Mount> ParseMounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(mountinfo), '\n')) {
    const std::vector<absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    const std::vector<std::string> before = absl::StrSplit(halves[0], ' ');
    const std::vector<std::string> after = absl::StrSplit(halves[1], ' ');
    constexpr size_t kBefore = 6;
    constexpr size_t kAfter = 3;
    if (before.size() < kBefore || after.size() < kAfter) continue;
    mounts.push_back(
        {.root = before[3], .point = before[4], .type = after[0], .super_options = after[2]});
  }
  return mounts;
}

// "  0: 0100007F:1F90 00000000:0000 0A tx:rx tr:when retrnsmt uid timeout inode ...": addresses and
// ports in hexadecimal, 0A is LISTEN.
std::vector<Listener> ParseListeners(std::string_view table) {
  std::vector<Listener> listeners;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(table), '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    constexpr size_t kInode = 9;
    if (fields.size() <= kInode || fields[3] != "0A") continue;
    const size_t colon = fields[1].rfind(':');
    uint32_t port = 0;
    uint64_t inode = 0;
    if (colon == absl::string_view::npos ||
        !absl::SimpleHexAtoi(fields[1].substr(colon + 1), &port) || port > UINT16_MAX ||
        !absl::SimpleAtoi(fields[kInode], &inode)) {
      continue;
    }
    listeners.push_back({.port = static_cast<uint16_t>(port), .inode = inode});
  }
  return listeners;
}

}  // namespace heddle::cli
