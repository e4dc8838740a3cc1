#include <cstdio>

#include "agent/app.h"
#include "agent/config.h"
#include "lib/base/log.h"
#include "lib/base/version.h"
#include "lib/io/stop_signals.h"

namespace heddle::agent {
namespace {

int Main(int argc, char** argv) {
  auto invocation = ParseCommandLine(argc, argv);
  if (!invocation) return daemon::Print(invocation.error());
  if (invocation->command == daemon::Command::kVersion)
    return std::printf("heddle-agent %s\n", kVersion) < 0;
  if (invocation->command == daemon::Command::kCheckConfig)
    return std::printf("%s\n", ConfigJson(invocation->config).c_str()) < 0;
  UniqueFd signals = io::BlockStopSignals();
  const log::Writer writer(invocation->config.log);
  auto app = App::Create(invocation->config, std::move(signals));
  if (!app.ok()) {
    LOG_ERROR("agent.start.failed", KV("error", app.status()));
    return 1;
  }
  return (*app)->Run();
}

}  // namespace
}  // namespace heddle::agent

int main(int argc, char** argv) { return heddle::agent::Main(argc, argv); }
