#include "lib/base/log_time.h"

#include <absl/strings/str_cat.h>

namespace heddle::log {

void LineTime::Append(absl::Time time, std::string& line) {
  absl::Duration since = time - absl::UnixEpoch();
  // Floor: a time before 1970 has microseconds that count forwards, too.
  int64_t second = absl::IDivDuration(since, absl::Seconds(1), &since);
  if (since < absl::ZeroDuration()) {
    --second;
    since += absl::Seconds(1);
  }
  if (second != second_) {
    second_ = second;
    text_ = absl::FormatTime("%Y-%m-%dT%H:%M:%S", absl::FromUnixSeconds(second), absl::UTCTimeZone());
  }
  absl::StrAppend(&line, text_, ".", absl::Dec(absl::ToInt64Microseconds(since), absl::kZeroPad6), "Z");
}

}  // namespace heddle::log
