#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/base/random.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/io/loop.h"

namespace heddle::io {

// Several loops on one thread, under one clock that a seed drives: loops take their turns in seeded order, and
// time moves only when none of them has anything to do, to the next timer. One seed gives one run. Real code
// runs on it unchanged; what it gets in place of the kernel is a FakeNetwork.
class Simulation {
 public:
  enum class Outcome {
    kDone,
    kDeadlock,      // Nothing can run and no timer is armed: somebody waits for what never comes.
    kTooManySteps,  // Something runs for ever.
  };
  // More than any scenario of ours takes; a scenario that needs more is a busy loop.
  static constexpr uint64_t kStepsMax = 20'000'000;

  explicit Simulation(uint64_t seed);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  uint64_t seed() const { return seed_; }
  FakeClock& clock() { return clock_; }
  // The one source of chance of the run; also for the scenario's own choices.
  Random& random() { return random_; }
  uint64_t steps() const { return steps_; }

  // A loop that lives as long as the simulation.
  Loop& AddLoop(size_t buffer_limit_bytes = 256u << 20);
  // Where things happen that belong to no loop: bytes on their way.
  Executor& wire() { return wire_; }

  // Runs until `done()`. May be called again, whatever came out.
  Outcome RunUntil(absl::FunctionRef<bool()> done, uint64_t steps_max = kStepsMax);
  // Runs `task` on `loop` to its end. Anything else prints the seed and aborts: a task that waits cannot be taken down.
  void Run(Loop& loop, Task<void> task);

 private:
  bool Round();
  bool AdvanceClock();

  const uint64_t seed_;
  FakeClock clock_;
  SeededRandom random_;
  Executor wire_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<Loop*> order_;
  uint64_t steps_ = 0;
};

}  // namespace heddle::io
