#include <poll.h>

#include <cstdio>

#include "controlplane/app.h"
#include "controlplane/config.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/unique_fd.h"
#include "lib/base/version.h"
#include "lib/io/socket.h"
#include "lib/io/stop_signals.h"

namespace heddle::controlplane {
namespace {

Task<void> ServeUntilSignal(io::Loop& loop, App& app, int signals) {
  Scope scope(loop);
  scope.Spawn(app.Run(scope.stop()));
  (void)co_await io::WaitReady(loop, signals, POLLIN, {});
  co_await scope.Drain();
}

int Run(const Config& config) {
  const UniqueFd signals = io::BlockStopSignals();
  const log::Writer writer(config.log);
  SystemClock clock;
  // Some hundred connections and a directory: nothing that io_uring would speed up, and it may be
  // off.
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  auto app = App::Create(loop, config);
  if (!app.ok()) {
    LOG_ERROR("controller.start.failed", KV("error", app.status()));
    return 1;
  }
  loop.RunUntilDone(ServeUntilSignal(loop, **app, signals.get()));
  return 0;
}

int Main(int argc, char** argv) {
  const auto invocation = ParseCommandLine(argc, argv);
  if (!invocation) return daemon::Print(invocation.error());
  switch (invocation->command) {
    case daemon::Command::kVersion: return std::printf("heddle-controller %s\n", kVersion) < 0;
    case daemon::Command::kCheckConfig:
      return std::printf("%s\n", ConfigJson(invocation->config).c_str()) < 0;
    case daemon::Command::kRun: return Run(invocation->config);
  }
  return 1;
}

}  // namespace
}  // namespace heddle::controlplane

int main(int argc, char** argv) { return heddle::controlplane::Main(argc, argv); }
