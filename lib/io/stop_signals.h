#pragma once

#include "lib/base/unique_fd.h"

namespace heddle::io {

// Turns SIGTERM and SIGINT into a descriptor that becomes readable (signalfd(2)), and ignores
// SIGPIPE. First thing in main: a thread that exists before keeps its own mask, and the signal
// would end the process there.
UniqueFd BlockStopSignals();

// The same for SIGHUP alone, which asks a service to do something and not to end.
UniqueFd BlockHangUp();
// Takes what has come from such a descriptor, so that it becomes readable with the next signal only.
void DrainSignals(const UniqueFd& fd);

}  // namespace heddle::io
