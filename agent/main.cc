#include <fcntl.h>

#include <cstdio>

#include "agent/app.h"
#include "agent/config.h"
#include "lib/base/log.h"
#include "lib/base/version.h"
#include "lib/io/stop_signals.h"

namespace heddle::agent {
namespace {

UniqueFd Duplicate(const UniqueFd& fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

int Main(int argc, char** argv) {
  auto invocation = ParseCommandLine(argc, argv);
  if (!invocation) return daemon::Print(invocation.error());
  if (invocation->command == daemon::Command::kVersion)
    return std::printf("heddle-agent %s\n", kVersion) < 0;
  if (invocation->command == daemon::Command::kCheckConfig)
    return std::printf("%s\n", ConfigJson(invocation->config).c_str()) < 0;
  const UniqueFd stop = io::BlockStopSignals();
  const UniqueFd renew = io::BlockHangUp();
  const log::Writer writer(invocation->config.log);
  while (true) {
    auto app = App::Create(invocation->config,
                           {.stop = Duplicate(stop), .renew = Duplicate(renew)});
    if (!app.ok()) {
      LOG_ERROR("agent.start.failed", KV("error", app.status()));
      return 1;
    }
    const int code = (*app)->Run();
    if (!(*app)->starts_over()) return code;
    LOG_INFO("agent.starts.over");
  }
}

}  // namespace
}  // namespace heddle::agent

int main(int argc, char** argv) { return heddle::agent::Main(argc, argv); }
