#include "lib/io/stop_signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <initializer_list>

#include "lib/base/check.h"

namespace heddle::io {

namespace {

UniqueFd Block(std::initializer_list<int> numbers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : numbers) sigaddset(&signals, number);
  CHECK(::pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  UniqueFd fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  CHECK(fd.valid());
  return fd;
}

}  // namespace

UniqueFd BlockStopSignals() {
  ::signal(SIGPIPE, SIG_IGN);
  return Block({SIGTERM, SIGINT});
}

UniqueFd BlockHangUp() { return Block({SIGHUP}); }

void DrainSignals(const UniqueFd& fd) {
  signalfd_siginfo taken;
  while (::read(fd.get(), &taken, sizeof(taken)) == sizeof(taken)) {
  }
}

}  // namespace heddle::io
