#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace heddle {

// memcpy(3), for payload. glibc copies 2 KiB and more by `rep movsb` where the CPU says that it is fast. On AMD's Zen 3
// that takes up to 18 times as long when the destination lies 1 to 31 bytes above the source within their pages (glibc
// bug 30994, avoided from 2.39 on), and a DATA frame's payload mostly does: from the beginning of a block to 9 bytes
// after the beginning of another. In pieces it is copied with vector registers.
inline void CopyBytes(std::span<const uint8_t> from, uint8_t* to) {
  constexpr size_t kPage = 4096;
  constexpr size_t kAlias = 32;
  constexpr size_t kPiece = 1984;  // Below the 2048 from which on glibc may choose otherwise; whole cache lines.
  if (from.empty()) return;
  const size_t above = (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from.data())) % kPage;
  const size_t piece = above > 0 && above < kAlias ? kPiece : from.size();
  while (!from.empty()) {
    const size_t size = std::min(piece, from.size());
    std::memcpy(to, from.data(), size);
    to += size;
    from = from.subspan(size);
  }
}

}  // namespace heddle
