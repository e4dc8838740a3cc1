#include "lib/io/stop_signals.h"

#include <signal.h>
#include <sys/signalfd.h>

#include "lib/base/check.h"

namespace heddle::io {

UniqueFd BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  CHECK(::pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  CHECK(fd.valid());
  return fd;
}

}  // namespace heddle::io
