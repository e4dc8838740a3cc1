// heddle-cni-stub, which stays in the plugin's place under its name when Heddle has left the node: runtimes keep the
// configuration that a sandbox was made with, and name the plugin at its DEL for as long as that sandbox lives. It asks
// nobody and changes nothing.
//
//   ADD      No configuration names it any more; one that still does passes: the result of the plugins before it,
//            unchanged. A node that has no mesh must start its pods.
//   DEL, CHECK, STATUS, GC   Success, whatever is on standard input.
//   VERSION  As the plugin.
#include "cni-plugin/plugin.h"
#include "lib/cni/network_config.h"
#include "lib/cni/prev_result.h"
#include "lib/cni/version.h"

namespace heddle::cni {
namespace {

// ADD alone needs its input; the others succeed whatever it is.
CniResult<Output> PassThrough(std::string_view text, std::string& version) {
  TRY(const NetworkConfig config, ParseNetworkConfig(text));
  TRY_VOID(CheckVersion(config.cni_version, Command::kAdd));
  version = config.cni_version;
  if (!config.has_prev_result) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidConfig,
                                 .msg = "heddle-cni has been removed from this node, and was never a plugin to "
                                        "stand alone: take it out of the CNI configuration",
                                 .details = ""});
  }
  TRY(std::string result, EchoResult(config.prev_result, config.cni_version));
  return Output{.out = result + '\n',
                .warning = "Heddle has been removed from this node: take its entry out of the CNI configuration"};
}

}  // namespace

Output Run(const Environment& environment, std::string_view config_text, const Deadline&) {
  const std::optional<Command> command = ParseCommand(environment.command);
  if (command == Command::kVersion) {
    const auto config = ParseNetworkConfig(config_text);
    return {.out = VersionJson(config ? config->cni_version : NewestVersion()), .warning = "", .exit_code = 0};
  }
  if (command && command != Command::kAdd) return {};
  std::string version(NewestVersion());
  if (!command) {
    const Error error{.code = ErrorCode::kBadEnvironment, .msg = "CNI_COMMAND is no command", .details = ""};
    return {.out = ErrorJson(version, error), .warning = "", .exit_code = 1};
  }
  CniResult<Output> output = PassThrough(config_text, version);
  if (output) return *std::move(output);
  return {.out = ErrorJson(version, output.error()), .warning = "", .exit_code = 1};
}

}  // namespace heddle::cni
