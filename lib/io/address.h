#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace heddle::io {

// An IPv4 or IPv6 address. IPv4 is held as ::ffff:a.b.c.d, so an IPv4-mapped IPv6 address *is* the IPv4 address.
class IpAddress {
 public:
  constexpr IpAddress() = default;  // "::"
  static IpAddress V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
  // 4 or 16 bytes in network order; anything else is refused.
  static std::optional<IpAddress> FromBytes(std::span<const uint8_t> bytes);
  // Text as inet_pton reads it; no zone, no brackets, no port.
  static std::optional<IpAddress> Parse(std::string_view text);

  bool is_v4() const;
  bool is_loopback() const;     // 127.0.0.0/8 or ::1
  bool is_unspecified() const;  // 0.0.0.0 or ::
  // The 16 bytes, IPv4 mapped.
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  // The 4 or 16 bytes of its own family.
  std::span<const uint8_t> native_bytes() const;
  std::string ToString() const;

  auto operator<=>(const IpAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.bytes_);
  }

 private:
  std::array<uint8_t, 16> bytes_{};
};

// An address and a TCP or UDP port in host order.
struct SocketAddress {
  IpAddress ip;
  uint16_t port = 0;

  // "10.0.0.1:80" or "[fd00::1]:80".
  static std::optional<SocketAddress> Parse(std::string_view text);
  // From what the kernel returned; empty for other families.
  static std::optional<SocketAddress> FromKernel(const sockaddr_storage& address);
  // For the kernel: an AF_INET6 sockaddr (IPv4 mapped) when `family` is AF_INET6, else of the address's own family.
  socklen_t ToKernel(int family, sockaddr_storage& out) const;
  int family() const { return ip.is_v4() ? AF_INET : AF_INET6; }
  std::string ToString() const;

  auto operator<=>(const SocketAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const SocketAddress& a) {
    return H::combine(std::move(h), a.ip, a.port);
  }
};

// A CIDR block. Host bits are kept zero.
class IpPrefix {
 public:
  // `length` counts bits of the address's own family (0..32 or 0..128); empty when it is out of range.
  static std::optional<IpPrefix> Make(const IpAddress& address, uint32_t length);
  // "10.0.0.0/8", or a single address.
  static std::optional<IpPrefix> Parse(std::string_view text);

  bool Contains(const IpAddress& address) const;
  const IpAddress& address() const { return address_; }
  // In bits of the own family.
  uint32_t length() const { return length_; }
  std::string ToString() const;
  auto operator<=>(const IpPrefix&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpPrefix& p) {
    return H::combine(std::move(h), p.address_, p.length_);
  }

 private:
  IpAddress address_;
  uint32_t length_ = 0;
};

}  // namespace heddle::io
