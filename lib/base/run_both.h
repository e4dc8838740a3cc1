#pragma once

#include <cstdint>
#include <thread>

namespace heddle {

// What two independent pieces of work are worth: a thread's start is outweighed by milliseconds.
enum class Threads : uint8_t { kOne, kTwo };

// Runs both, with two threads `first` on one of its own beside the caller's, and returns when both have ended: what
// each has written is the caller's then.
template <typename First, typename Second>
void RunBoth(Threads threads, First first, Second second) {
  if (threads == Threads::kOne) {
    first();
    second();
    return;
  }
  std::thread other([&first] { first(); });
  second();
  other.join();
}

}  // namespace heddle
