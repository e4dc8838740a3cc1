#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

namespace heddle::log {

// The times in front of lines, "2026-01-02T03:04:05.123456Z". Remembers the text of the second it wrote last, in which
// most lines of a burst are: making it anew costs more than all the rest of a line. One thread's.
class LineTime {
 public:
  void Append(absl::Time time, std::string& line);

 private:
  int64_t second_ = INT64_MIN;  // Since 1970.
  std::string text_;            // Of that second.
};

}  // namespace heddle::log
