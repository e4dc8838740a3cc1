#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/io/address.h"

namespace heddle::agent {

// Longest authority that is read: a DNS name (RFC 1035 section 2.3.4) with a port.
inline constexpr size_t kMaxAuthorityBytes = 253 + 6;

// A service's host name and one of its ports, when a tunnel crosses networks.
struct HostAndPort {
  std::string host;  // Lower case.
  uint16_t port = 0;
  auto operator<=>(const HostAndPort&) const = default;
};

// Where a CONNECT request wants to go (RFC 9110 section 9.3.6): an address, or a host name, always
// with a port.
//
//     10.0.0.1:80    [fd00::1]:80    web.shop.svc.cluster.local:80
//
// Port 0, user information, zones, leading zeros in the port, and unusual spellings of IPv4
// addresses are refused.
using Authority = std::variant<io::SocketAddress, HostAndPort>;

// Empty when the text is no authority of these forms.
std::optional<Authority> ParseAuthority(std::string_view text);
// The text that a request carries.
std::string ToString(const Authority& authority);

}  // namespace heddle::agent
