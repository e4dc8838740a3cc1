#pragma once

#include <ctime>

namespace heddle::cni {

// A point of the monotonic clock; every wait of the plugin ends there at the latest.
class Deadline {
 public:
  static Deadline After(int milliseconds) { return Deadline(Now() + milliseconds); }

  // Milliseconds left, as poll() takes them; 0 once it has passed.
  int Left() const {
    const long long left = at_ - Now();
    return left > 0 ? static_cast<int>(left) : 0;
  }
  bool Passed() const { return Left() == 0; }

 private:
  explicit Deadline(long long at) : at_(at) {}
  static long long Now() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
  }

  long long at_;
};

}  // namespace heddle::cni
