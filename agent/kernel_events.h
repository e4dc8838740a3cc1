#pragma once

#include "agent/node/bpf_events.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// Tells in the log (debug) what the BPF hooks refuse and drop. The buffer of events drops what
// nobody reads, and the kernel counts that, so a reader that has trouble costs lines of the log and
// nothing else. Control loop.
class KernelEvents {
 public:
  KernelEvents(io::Loop& loop, BpfEvents events, metrics::Registry& registry);

  // Until stopped. A failure is logged, counted, and tried again after a while.
  Task<void> Run(StopToken stop);

 private:
  io::Loop& loop_;
  BpfEvents events_;
  metrics::Counter failures_;
};

}  // namespace heddle::agent
