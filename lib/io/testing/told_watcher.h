#pragma once

#include "lib/base/wait_queue.h"
#include "lib/io/stream.h"

namespace heddle::io {

// A watcher that counts how often it was told, and can be waited for.
class ToldWatcher final : public ReadWatcher {
 public:
  explicit ToldWatcher(Executor& executor) : changed_(executor) {}

  void OnReadable() override {
    ++times;
    changed_.NotifyAll();
  }
  // Until it has been told; counts anew.
  Task<void> Told() {
    while (times == 0) co_await changed_.Wait({});
    times = 0;
  }

  int times = 0;

 private:
  WaitQueue changed_;
};

}  // namespace heddle::io
