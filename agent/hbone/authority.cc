#include "agent/hbone/authority.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

std::optional<uint16_t> ParsePort(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.front() == '0') return std::nullopt;
  uint32_t port = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

bool IsLabel(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
    return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

// A DNS name without a final dot. A last label of digits only would be an address in an unusual
// spelling (RFC 3696 section 2).
bool IsHostName(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::string_view last;
  for (size_t begin = 0; begin <= host.size();) {
    const size_t dot = std::min(host.find('.', begin), host.size());
    last = host.substr(begin, dot - begin);
    if (!IsLabel(last)) return false;
    begin = dot + 1;
  }
  return !std::all_of(last.begin(), last.end(),
                      [](unsigned char c) { return absl::ascii_isdigit(c); });
}

}  // namespace

std::optional<Authority> ParseAuthority(std::string_view text) {
  if (text.size() > kMaxAuthorityBytes) return std::nullopt;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = ParsePort(text.substr(colon + 1));
  if (!port) return std::nullopt;
  if (const auto address = io::SocketAddress::Parse(text)) return *address;
  const std::string_view host = text.substr(0, colon);
  if (!IsHostName(host)) return std::nullopt;
  return HostAndPort{absl::AsciiStrToLower(ToAbsl(host)), *port};
}

std::string ToString(const Authority& authority) {
  if (const auto* address = std::get_if<io::SocketAddress>(&authority)) return address->ToString();
  const auto& name = std::get<HostAndPort>(authority);
  return absl::StrCat(name.host, ":", name.port);
}

}  // namespace heddle::agent
