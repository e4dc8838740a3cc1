#include "bench/load/wire.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace heddle::bench {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");

template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

std::array<uint8_t, 8> EncodeNumber(uint64_t number) {
  std::array<uint8_t, 8> bytes;
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

uint64_t ParseNumber(std::span<const uint8_t, 8> bytes) { return Load<uint64_t>(bytes.data()); }

std::array<uint8_t, kOrderBytes> Encode(const Order& order) {
  std::array<uint8_t, kOrderBytes> bytes{kOrder, static_cast<uint8_t>(order.kind)};
  std::memcpy(&bytes[4], &order.seed, sizeof(order.seed));
  std::memcpy(&bytes[8], &order.request_bytes, sizeof(order.request_bytes));
  std::memcpy(&bytes[16], &order.response_bytes, sizeof(order.response_bytes));
  return bytes;
}

std::optional<Order> ParseOrder(std::span<const uint8_t, kOrderBytes> bytes) {
  const auto kind = static_cast<OrderKind>(bytes[1]);
  const bool known =
      kind == OrderKind::kUp || kind == OrderKind::kDown || kind == OrderKind::kExchange;
  if (bytes[0] != kOrder || !known || bytes[2] != 0 || bytes[3] != 0) return std::nullopt;
  return Order{.kind = kind,
               .seed = Load<uint32_t>(&bytes[4]),
               .request_bytes = Load<uint64_t>(&bytes[8]),
               .response_bytes = Load<uint64_t>(&bytes[16])};
}

std::array<uint8_t, kReceiptBytes> Encode(const Receipt& receipt) {
  std::array<uint8_t, kReceiptBytes> bytes;
  std::ranges::copy(EncodeNumber(receipt.bytes), bytes.begin());
  std::ranges::copy(EncodeNumber(receipt.intact ? 1 : 0), bytes.begin() + 8);
  return bytes;
}

std::optional<Receipt> ParseReceipt(std::span<const uint8_t, kReceiptBytes> bytes) {
  const uint64_t intact = ParseNumber(bytes.subspan<8, 8>());
  if (intact > 1) return std::nullopt;
  return Receipt{.bytes = ParseNumber(bytes.first<8>()), .intact = intact == 1};
}

}  // namespace heddle::bench
