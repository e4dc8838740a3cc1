#include "lib/io/testing/simulation.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "lib/io/testing/simulated_reactor.h"

namespace heddle::io {

Simulation::Simulation(uint64_t seed) : seed_(seed), random_(seed), wire_(clock_) {}

Loop& Simulation::AddLoop(size_t buffer_limit_bytes) {
  auto buffers = std::make_unique<BufferPool>(buffer_limit_bytes);
  loops_.push_back(std::make_unique<Loop>(clock_, std::move(buffers), MakeSimulatedReactor()));
  order_.push_back(loops_.back().get());
  return *loops_.back();
}

// One turn of every loop, in an order of its own. False when nobody had anything to do.
bool Simulation::Round() {
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random_.Below(i)]);
  bool ran = wire_.NextTimer() <= clock_.Monotonic();
  wire_.RunReady();
  for (Loop* loop : order_) {
    ran = loop->Turn(clock_.Monotonic()) || ran;
    ++steps_;
  }
  return ran;
}

bool Simulation::AdvanceClock() {
  MonotonicTime next = wire_.NextTimer();
  for (Loop* loop : order_) next = std::min(next, loop->NextTimer());
  if (next == MonotonicTime::Infinite()) return false;
  if (next > clock_.Monotonic()) clock_.Advance(next - clock_.Monotonic());
  return true;
}

Simulation::Outcome Simulation::RunUntil(absl::FunctionRef<bool()> done, uint64_t steps_max) {
  const uint64_t last = steps_ + steps_max;
  while (!done()) {
    if (steps_ >= last) return Outcome::kTooManySteps;
    if (!Round() && !done() && !AdvanceClock()) return Outcome::kDeadlock;
  }
  return Outcome::kDone;
}

void Simulation::Run(Loop& loop, Task<void> task) {
  Scope scope(loop);
  scope.Spawn(std::move(task));
  const Outcome outcome = RunUntil([&] { return scope.live() == 0; });
  if (outcome == Outcome::kDone) return;
  const char* what = outcome == Outcome::kDeadlock ? "deadlock" : "runs for ever";
  std::fprintf(stderr, "simulation with seed %" PRIu64 ": %s after %" PRIu64 " steps\n", seed_, what, steps_);
  CHECK(outcome == Outcome::kDone);
}

}  // namespace heddle::io
