#include "lib/base/executor.h"

#include "lib/base/check.h"

namespace heddle {

void Timer::Disarm() {
  if (executor_ != nullptr) executor_->Remove(*this);
}

Executor::~Executor() { CHECK(heap_.empty()); }

void Executor::Arm(Timer& timer, MonotonicTime when) {
  timer.Disarm();
  timer.executor_ = this;
  timer.when_ = when;
  heap_.push_back(&timer);
  timer.position_ = heap_.size() - 1;
  SiftUp(timer.position_);
}

void Executor::Remove(Timer& timer) {
  CHECK(timer.executor_ == this && heap_[timer.position_] == &timer);
  const size_t position = timer.position_;
  Timer* last = heap_.back();
  heap_.pop_back();
  timer.executor_ = nullptr;
  if (last == &timer) return;
  Place(last, position);
  SiftUp(position);
  SiftDown(last->position_);
}

void Executor::Place(Timer* timer, size_t position) {
  heap_[position] = timer;
  timer->position_ = position;
}

void Executor::SiftUp(size_t position) {
  Timer* timer = heap_[position];
  while (position > 0) {
    const size_t parent = (position - 1) / 2;
    if (heap_[parent]->when_ <= timer->when_) break;
    Place(heap_[parent], position);
    position = parent;
  }
  Place(timer, position);
}

void Executor::SiftDown(size_t position) {
  Timer* timer = heap_[position];
  while (true) {
    size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->when_ < heap_[child]->when_) ++child;
    if (timer->when_ <= heap_[child]->when_) break;
    Place(heap_[child], position);
    position = child;
  }
  Place(timer, position);
}

void Executor::FireTimers(MonotonicTime now) {
  while (!heap_.empty() && heap_.front()->when_ <= now) {
    Timer& due = *heap_.front();
    Remove(due);
    due.OnTimer();
  }
}

size_t Executor::RunQueue() {
  IntrusiveList<Runnable> batch;
  batch.Splice(ready_);
  size_t ran = 0;
  while (!batch.empty()) {
    batch.PopFront().Run();
    ++ran;
  }
  return ran;
}

}  // namespace heddle
