#pragma once

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

// The order in which a PersistentMap has its entries: by the digits of their hashes, the lowest digit first.
namespace heddle::agent {

inline constexpr int kHashDigitBits = 4;

// The first digit comes to stand highest, so that numbers are in the order. Its own inverse.
inline uint64_t ReverseHashDigits(uint64_t hash) {
  static_assert(kHashDigitBits == 4);
  const uint64_t bytes = std::byteswap(hash);
  return (bytes & 0x0f0f0f0f0f0f0f0f) << 4 | (bytes >> 4 & 0x0f0f0f0f0f0f0f0f);
}

struct HashPlace {
  uint64_t digits = 0;  // Of the hash, reversed.
  uint32_t index = 0;   // Where the entry was given.
  auto operator<=>(const HashPlace&) const = default;
};

// Of two entries with one key the last.
template <typename Entry, typename HashOf>
std::vector<HashPlace> OrderByHash(const std::vector<Entry>& entries, HashOf hash_of) {
  std::vector<HashPlace> places(entries.size());
  for (uint32_t i = 0; i < entries.size(); ++i)
    places[i] = {ReverseHashDigits(hash_of(entries[i])), i};
  std::sort(places.begin(), places.end());
  size_t kept = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    bool replaced = false;
    for (size_t later = i + 1; later < places.size() && places[later].digits == places[i].digits;
         ++later)
      replaced |= entries[places[later].index].key == entries[places[i].index].key;
    if (!replaced) places[kept++] = places[i];
  }
  places.resize(kept);
  return places;
}

}  // namespace heddle::agent
