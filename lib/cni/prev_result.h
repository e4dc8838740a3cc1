#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/cni/error.h"
#include "lib/cni/json.h"

// The result of the plugins before us in the chain.
namespace heddle::cni {

// Addresses of one container; more is not a container but an attack on our tables.
inline constexpr size_t kMaxAddresses = 16;

// The result to print: the same bytes, with the top-level "cniVersion" replaced (or put in, where there is none), so
// that unknown fields of other plugins survive.
CniResult<std::string> EchoResult(const JsonValue& prev_result, std::string_view version);

// Addresses, without prefix length and in inet_ntop's form, that belong to interface `ifname` of the container: entries
// of "ips" that name an interface with this name and a sandbox, or that name no interface. Code 6 if malformed.
CniResult<std::vector<std::string>> ContainerAddresses(const JsonValue& prev_result, std::string_view ifname);

}  // namespace heddle::cni
