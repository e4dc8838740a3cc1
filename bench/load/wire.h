#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace heddle::bench {

// What the client asks of the server. A connection's first byte decides: that of an order, or one of these two.
//
//     'p'   the server sends it back and closes
//     'G'   HTTP/1.1: each request is answered with 1 KiB
//
// An order, all numbers little-endian:
//
//     0        1      2       4      8          16          24
//     +--------+------+-------+------+----------+-----------+
//     | 'o'    | kind | 0     | seed | request  | response  |
//     +--------+------+-------+------+----------+-----------+
//
//     kUp        the pattern of `seed` follows until the end; the answer is a Receipt
//     kDown      each little-endian u64 that follows asks for so many more bytes of the pattern
//     kExchange  each `request` bytes (pattern of `seed` from 0) get `response` bytes (of `seed` + 1)
enum class OrderKind : uint8_t { kUp = 'u', kDown = 'd', kExchange = 'x' };

inline constexpr uint8_t kPing = 'p';
inline constexpr uint8_t kHttp = 'G';
inline constexpr uint8_t kOrder = 'o';
inline constexpr size_t kOrderBytes = 24;
inline constexpr size_t kReceiptBytes = 16;

struct Order {
  OrderKind kind = OrderKind::kExchange;
  uint32_t seed = 0;
  uint64_t request_bytes = 0;
  uint64_t response_bytes = 0;
  bool operator==(const Order&) const = default;
};

std::array<uint8_t, kOrderBytes> Encode(const Order& order);
// Empty when it is not an order.
std::optional<Order> ParseOrder(std::span<const uint8_t, kOrderBytes> bytes);

// What arrived: how much, and whether it was what had been sent.
struct Receipt {
  uint64_t bytes = 0;
  bool intact = false;
  bool operator==(const Receipt&) const = default;
};
std::array<uint8_t, kReceiptBytes> Encode(const Receipt& receipt);
std::optional<Receipt> ParseReceipt(std::span<const uint8_t, kReceiptBytes> bytes);

std::array<uint8_t, 8> EncodeNumber(uint64_t number);
uint64_t ParseNumber(std::span<const uint8_t, 8> bytes);

}  // namespace heddle::bench
