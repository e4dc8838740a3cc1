#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace heddle::agent {

// CRC-32C (Castagnoli), as in RFC 3720 section 12.1 and appendix B.4. A table's speed (about 400 MB/s) is enough
// for a file.
inline uint32_t Crc32c(std::string_view bytes) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82f63b78u : 0);
      table[i] = value;
    }
    return table;
  }();
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

}  // namespace heddle::agent
