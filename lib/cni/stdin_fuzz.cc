// A runtime's standard input: configuration, prevResult, and what goes back to the runtime.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/cni/invocation.h"
#include "lib/cni/network_config.h"
#include "lib/cni/prev_result.h"
#include "lib/cni/version.h"

namespace heddle::cni {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void EchoesWhatItWasGiven(const JsonValue& prev_result) {
  const auto echoed = EchoResult(prev_result, "1.0.0");
  if (!echoed) return;
  const auto value = ParseJson(*echoed);
  Require(value.has_value());
  // The echo carries the new version, and a second echo changes nothing.
  const auto members = JsonMembers(*value);
  Require(members.has_value());
  const JsonValue* version = FindMember(*members, "cniVersion");
  Require(version != nullptr && version->raw == "\"1.0.0\"");
  Require(EchoResult(*value, "1.0.0") == *echoed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The first line may be a variable of the environment, so that one corpus covers both.
  const std::string line(text.substr(0, text.find('\n')));
  (void)ParseInvocation({.command = "ADD", .container_id = "c1", .netns = "/n", .ifname = "eth0", .args = line});
  (void)ParseInvocation({.command = line, .container_id = line, .netns = line, .ifname = line, .path = line});
  (void)ParseInvocation({.command = "DEL", .container_id = "c1", .netns = line, .ifname = line});
  const auto config = ParseNetworkConfig(text);
  if (!config) {
    Require(ParseJson(ErrorJson(NewestVersion(), config.error())).has_value());
    return 0;
  }
  Require(ParseJson(VersionJson(config->cni_version)).has_value());
  if (const auto version = CheckVersion(config->cni_version, Command::kCheck); !version) {
    Require(ParseJson(ErrorJson(config->cni_version, version.error())).has_value());
  }
  if (!config->has_prev_result) return 0;
  (void)ContainerAddresses(config->prev_result, "eth0");
  EchoesWhatItWasGiven(config->prev_result);
  return 0;
}

}  // namespace heddle::cni
