#include "lib/io/address.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "lib/base/strings.h"

namespace heddle::io {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kTextMax = INET6_ADDRSTRLEN;

std::optional<uint32_t> ParseNumber(std::string_view text, uint32_t max) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

}  // namespace

IpAddress IpAddress::V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  const std::array<uint8_t, 4> bytes = {a, b, c, d};
  return *FromBytes(bytes);
}

std::optional<IpAddress> IpAddress::FromBytes(std::span<const uint8_t> bytes) {
  IpAddress address;
  if (bytes.size() == 4) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes_.begin());
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin() + 12);
    return address;
  }
  if (bytes.size() != 16) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.size() >= kTextMax || text.find('\0') != std::string_view::npos) return std::nullopt;
  char buffer[kTextMax] = {};
  std::copy(text.begin(), text.end(), buffer);
  std::array<uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET, buffer, bytes.data()) == 1) return FromBytes(std::span(bytes).first(4));
  if (::inet_pton(AF_INET6, buffer, bytes.data()) == 1) return FromBytes(bytes);
  return std::nullopt;
}

bool IpAddress::is_v4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; }) && bytes_[15] == 1;
}

bool IpAddress::is_unspecified() const {
  const auto own = native_bytes();
  return std::all_of(own.begin(), own.end(), [](uint8_t b) { return b == 0; });
}

std::span<const uint8_t> IpAddress::native_bytes() const {
  return is_v4() ? std::span(bytes_).subspan(12) : std::span<const uint8_t>(bytes_);
}

std::string IpAddress::ToString() const {
  // inet_ntop goes through sprintf, and every connection has several addresses in its log line.
  if (is_v4()) return absl::StrCat(bytes_[12], ".", bytes_[13], ".", bytes_[14], ".", bytes_[15]);
  char buffer[kTextMax];
  ::inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof(buffer));
  return buffer;
}

std::optional<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::Parse(host);
  const auto port = ParseNumber(text.substr(colon + 1), 65535);
  if (!ip || !port || bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  return SocketAddress{*ip, static_cast<uint16_t>(*port)};
}

std::optional<SocketAddress> SocketAddress::FromKernel(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof(in));
    const auto* bytes = reinterpret_cast<const uint8_t*>(&in.sin_addr);
    return SocketAddress{*IpAddress::FromBytes({bytes, 4}), ntohs(in.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, &address, sizeof(in6));
    const auto* bytes = reinterpret_cast<const uint8_t*>(&in6.sin6_addr);
    return SocketAddress{*IpAddress::FromBytes({bytes, 16}), ntohs(in6.sin6_port)};
  }
  return std::nullopt;
}

socklen_t SocketAddress::ToKernel(int family, sockaddr_storage& out) const {
  out = {};
  if (family == AF_INET6 || !ip.is_v4()) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&in6.sin6_addr, ip.bytes().data(), 16);
    std::memcpy(&out, &in6, sizeof(in6));
    return sizeof(in6);
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  std::memcpy(&in.sin_addr, ip.native_bytes().data(), 4);
  std::memcpy(&out, &in, sizeof(in));
  return sizeof(in);
}

std::string SocketAddress::ToString() const {
  return ip.is_v4() ? absl::StrCat(ip.ToString(), ":", port) : absl::StrCat("[", ip.ToString(), "]:", port);
}

std::optional<IpPrefix> IpPrefix::Make(const IpAddress& address, uint32_t length) {
  const uint32_t bits = address.is_v4() ? 32 : 128;
  if (length > bits) return std::nullopt;
  std::array<uint8_t, 16> bytes = address.bytes();
  const uint32_t keep = length + (128 - bits);
  for (uint32_t bit = keep; bit < 128; ++bit) bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
  IpPrefix prefix;
  prefix.address_ = *IpAddress::FromBytes(bytes);
  prefix.length_ = length;
  return prefix;
}

std::optional<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Make(*address, address->is_v4() ? 32 : 128);
  const auto length = ParseNumber(text.substr(slash + 1), 128);
  if (!length) return std::nullopt;
  return Make(*address, *length);
}

bool IpPrefix::Contains(const IpAddress& address) const {
  if (address.is_v4() != address_.is_v4()) return false;
  const auto masked = Make(address, length_);
  return masked && masked->address_ == address_;
}

std::string IpPrefix::ToString() const { return absl::StrCat(address_.ToString(), "/", length_); }

}  // namespace heddle::io
