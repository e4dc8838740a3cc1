#include "lib/io/testing/co_test.h"

#include <utility>

namespace heddle::io {

void RunCoTest(Loop& loop, Task<void> body) { loop.RunUntilDone(std::move(body)); }

void RunCoTest(Task<void> (*body)(Loop& loop)) {
  SystemClock clock;
  Loop loop(clock, LoopOptions{.backend = BackendChoice::kEpoll});
  loop.RunUntilDone(body(loop));
}

}  // namespace heddle::io
