#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/seams/pod_network.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {

// Carried by our connections to applications, and through net.ipv4.tcp_fwmark_accept by the
// applications' answers, which the rule of kApplicationDelivery brings back to us although they are
// addressed to the client (ambient-wire.md section 4.4 has the same numbers).
inline constexpr uint32_t kProxyMark = 0x539;
inline constexpr uint32_t kProxyMarkMask = 0xfff;
inline constexpr uint32_t kDeliveryTable = 100;
inline constexpr uint32_t kDeliveryPriority = 32764;

// Everything in this file acts in the netns of the calling thread.

// What an unconnected socket is for.
enum class DialPurpose : uint8_t { kOut, kApplication };

// A listening TCP socket on a port of ours, for both families where the netns has IPv6. Its backlog
// bounds the connections that wait for accept.
absl::StatusOr<UniqueFd> MakeListeningSocket(uint16_t port);
// An unconnected TCP socket. With kApplication it may bind addresses that are not ours
// (IP_TRANSPARENT) and carries kProxyMark.
absl::StatusOr<UniqueFd> MakeDialSocket(int family, DialPurpose purpose);

// Settings of a netns by name below /proc/sys, for instance "net/ipv4/tcp_tw_reuse".
using Sysctls = std::map<std::string, std::string>;

// Sets what a captured netns needs. The values from before are added to `before`, for
// RestoreSysctls, also when a later one fails; those that are in it already stay as they are.
absl::Status ApplyPodSysctls(Sysctls& before);
absl::Status RestoreSysctls(const Sysctls& before);

// Rule and route for kProxyMark in both families (IPv6 only where the netns has it), on the loopback
// interface, which is up afterwards.
absl::Status AddApplicationDelivery();
absl::Status RemoveApplicationDelivery();

}  // namespace heddle::agent
