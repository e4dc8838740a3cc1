#include "lib/cni/invocation.h"

#include <algorithm>

namespace heddle::cni {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::unexpected<Error> BadEnvironment(std::string msg) {
  return std::unexpected(Error{.code = ErrorCode::kBadEnvironment, .msg = std::move(msg)});
}

bool NeedsContainer(Command command) {
  return command == Command::kAdd || command == Command::kCheck || command == Command::kDel;
}
bool NeedsNetns(Command command) { return command == Command::kAdd || command == Command::kCheck; }

}  // namespace

bool IsContainerId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxContainerIdBytes && IsAlphanumeric(text[0]) &&
         std::ranges::all_of(text, [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool IsInterfaceName(std::string_view text) {
  // The kernel's own rule, dev_valid_name().
  return !text.empty() && text.size() <= kMaxInterfaceNameBytes && text != "." && text != ".." &&
         std::ranges::none_of(text, [](char c) {
           return c == '/' || c == ':' || c == '\0' || c == ' ' || (c >= '\t' && c <= '\r');
         });
}

bool IsObjectName(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kMaxNameBytes && plain(text.front()) && plain(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return plain(c) || c == '-' || c == '.'; });
}

bool IsPodUid(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::ranges::all_of(text, [](char c) { return IsAlphanumeric(c) || c == '-'; });
}

CniResult<PodReference> ParseArgs(std::string_view args) {
  PodReference pod;
  while (!args.empty()) {
    const std::string_view pair = args.substr(0, args.find(';'));
    args.remove_prefix(std::min(pair.size() + 1, args.size()));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return BadEnvironment("CNI_ARGS has an entry without '=': " + std::string(pair.substr(0, 64)));
    }
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (key == "K8S_POD_NAMESPACE") pod.pod_namespace = value;
    if (key == "K8S_POD_NAME") pod.name = value;
    if (key == "K8S_POD_UID") pod.uid = value;
  }
  if (!pod.pod_namespace.empty() && !IsObjectName(pod.pod_namespace)) {
    return BadEnvironment("K8S_POD_NAMESPACE in CNI_ARGS is not the name of a namespace");
  }
  if (!pod.name.empty() && !IsObjectName(pod.name)) {
    return BadEnvironment("K8S_POD_NAME in CNI_ARGS is not the name of a pod");
  }
  if (!pod.uid.empty() && !IsPodUid(pod.uid)) return BadEnvironment("K8S_POD_UID in CNI_ARGS is not a UID");
  return pod;
}

CniResult<Invocation> ParseInvocation(const Environment& environment) {
  const std::optional<Command> command = ParseCommand(environment.command);
  if (!command) {
    return BadEnvironment(environment.command.empty()
                              ? "CNI_COMMAND is not set; a container runtime runs this program, see the README"
                              : "CNI_COMMAND is not a command of CNI: " + environment.command.substr(0, 64));
  }
  Invocation invocation{.command = *command};
  if (*command == Command::kGc && environment.path.empty()) return BadEnvironment("CNI_PATH is not set");
  if (!NeedsContainer(*command)) return invocation;

  if (!IsContainerId(environment.container_id)) {
    return BadEnvironment("CNI_CONTAINERID is missing or is not a container id");
  }
  if (!IsInterfaceName(environment.ifname)) {
    return BadEnvironment("CNI_IFNAME is missing or is not the name of an interface");
  }
  if (environment.netns.empty() && NeedsNetns(*command)) return BadEnvironment("CNI_NETNS is not set");
  if (environment.netns.size() > kMaxPathBytes) return BadEnvironment("CNI_NETNS is too long for a path");
  TRY(invocation.pod, ParseArgs(environment.args));
  invocation.container_id = environment.container_id;
  invocation.ifname = environment.ifname;
  invocation.netns = environment.netns;
  return invocation;
}

}  // namespace heddle::cni
