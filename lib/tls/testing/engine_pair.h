#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tls/engine.h"

namespace heddle::tls {

inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Hands `bytes` to `to` in pieces of `piece`, and returns the plaintext that comes out.
inline std::string Deliver(std::span<const uint8_t> bytes, TlsEngine& to, size_t piece = SIZE_MAX) {
  std::string plaintext;
  std::vector<uint8_t> room(64 * 1024);
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(piece, bytes.size()));
    for (size_t done = 0;;) {
      const auto result = to.Read(part.subspan(done), room);
      plaintext.append(reinterpret_cast<const char*>(room.data()), result.produced);
      done += result.consumed;
      if (done == part.size() && result.produced < room.size()) break;
    }
    bytes = bytes.subspan(part.size());
  }
  return plaintext;
}

// Moves all that `from` has to say to `to`.
inline std::string Move(TlsEngine& from, TlsEngine& to, size_t piece = SIZE_MAX) {
  const std::vector<uint8_t> bytes(from.output().begin(), from.output().end());
  from.ConsumeOutput(bytes.size());
  return Deliver(bytes, to, piece);
}

// Moves bytes both ways until both are silent.
inline void Settle(TlsEngine& a, TlsEngine& b, size_t piece = SIZE_MAX) {
  while (!a.output().empty() || !b.output().empty()) {
    Move(a, b, piece);
    Move(b, a, piece);
  }
}

}  // namespace heddle::tls
