#include "lib/grpc/timeout.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

#include "lib/base/strings.h"

namespace heddle::grpc {
namespace {

constexpr size_t kDigitsMax = 8;
constexpr int64_t kValueMax = 99'999'999;

struct Unit {
  char name;
  absl::Duration duration;
};
const std::array<Unit, 6>& Units() {
  static const std::array<Unit, 6> units = {{{'n', absl::Nanoseconds(1)},
                                             {'u', absl::Microseconds(1)},
                                             {'m', absl::Milliseconds(1)},
                                             {'S', absl::Seconds(1)},
                                             {'M', absl::Minutes(1)},
                                             {'H', absl::Hours(1)}}};
  return units;
}

}  // namespace

std::optional<absl::Duration> ParseTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kDigitsMax + 1) return std::nullopt;
  const std::string_view digits = text.substr(0, text.size() - 1);
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  int64_t value = 0;
  if (!absl::SimpleAtoi(ToAbsl(digits), &value)) return std::nullopt;
  for (const Unit& unit : Units()) {
    if (unit.name == text.back()) return value * unit.duration;
  }
  return std::nullopt;
}

std::string FormatTimeout(absl::Duration timeout) {
  timeout = std::max(timeout, absl::ZeroDuration());
  for (const Unit& unit : Units()) {
    absl::Duration rest;
    int64_t value = absl::IDivDuration(timeout, unit.duration, &rest);
    if (rest > absl::ZeroDuration() && value <= kValueMax) ++value;
    if (value <= kValueMax) return absl::StrCat(value, std::string(1, unit.name));
  }
  return absl::StrCat(kValueMax, "H");
}

}  // namespace heddle::grpc
