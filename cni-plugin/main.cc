// heddle-cni: the last plugin of a CNI chain. Asks the node's agent to capture or release a pod; holds no credentials,
// starts no threads, and ends within 8 seconds whatever happens (docs/architecture.md).

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "cni-plugin/deadline.h"
#include "cni-plugin/plugin.h"
#include "lib/cni/json.h"

namespace heddle::cni {
namespace {

// Runtimes hold a lock while a plugin runs; theirs end after 2 minutes, ours well before.
constexpr int kTotalMilliseconds = 8000;
// If even writing the answer hangs: SIGALRM ends the process.
constexpr unsigned kAlarmSeconds = 10;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Standard input to its end; empty when it is too long or does not end in time.
std::optional<std::string> ReadInput(const Deadline& deadline) {
  std::string text;
  char block[16384];
  while (!deadline.Passed()) {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, deadline.Left()) <= 0) continue;
    const ssize_t length = ::read(STDIN_FILENO, block, sizeof(block));
    if (length == 0) return text;
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 || text.size() + static_cast<size_t>(length) > kMaxJsonBytes) return std::nullopt;
    text.append(block, static_cast<size_t>(length));
  }
  return std::nullopt;
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

Output Answer() {
  const Deadline deadline = Deadline::After(kTotalMilliseconds);
  const Environment environment{.command = Variable("CNI_COMMAND"),
                                .container_id = Variable("CNI_CONTAINERID"),
                                .netns = Variable("CNI_NETNS"),
                                .ifname = Variable("CNI_IFNAME"),
                                .args = Variable("CNI_ARGS"),
                                .path = Variable("CNI_PATH")};
  // Run by hand, to see what it is: nothing will come.
  if (environment.command.empty()) return Run(environment, "", deadline);
  const std::optional<std::string> text = ReadInput(deadline);
  if (text) return Run(environment, *text, deadline);
  const Error error{.code = ErrorCode::kIo,
                    .msg = "the network configuration on standard input is longer than 1 MiB or does not end",
                    .details = ""};
  return {.out = ErrorJson(NewestVersion(), error), .warning = "", .exit_code = 1};
}

}  // namespace
}  // namespace heddle::cni

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  ::alarm(heddle::cni::kAlarmSeconds);
  const heddle::cni::Output output = heddle::cni::Answer();
  if (!output.warning.empty()) heddle::cni::WriteAll(STDERR_FILENO, "heddle-cni: " + output.warning + "\n");
  if (!heddle::cni::WriteAll(STDOUT_FILENO, output.out)) return 1;
  return output.exit_code;
}
