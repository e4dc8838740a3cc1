#pragma once

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
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
  uint64_t index = 0;   // Where the entry is, in the order in which they were given.
  auto operator<=>(const HashPlace&) const = default;
};

using HashPlaces = std::span<const HashPlace>;

inline uint64_t DigitAt(const HashPlace& place, size_t depth) {
  return place.digits >> (64 - kHashDigitBits * (depth + 1)) & ((1 << kHashDigitBits) - 1);
}

// The first of some sorted places, as far as they have the same digit.
inline HashPlaces FirstOfOneDigit(HashPlaces places, size_t depth) {
  const uint64_t digit = DigitAt(places.front(), depth);
  const auto end = std::ranges::find_if(
      places, [&](const HashPlace& place) { return DigitAt(place, depth) != digit; });
  return places.first(static_cast<size_t>(end - places.begin()));
}

// By digits, then by index. By the first digits they are put apart at once, which leaves a few to be sorted.
inline void SortByHash(std::vector<HashPlace>& places) {
  constexpr size_t kBucketEntries = 8;
  constexpr int kBucketBitsMax = 16;
  const int bits =
      std::min(kBucketBitsMax, static_cast<int>(std::bit_width(places.size() / kBucketEntries)));
  if (bits == 0) return std::sort(places.begin(), places.end());
  const auto bucket_of = [bits](const HashPlace& place) { return place.digits >> (64 - bits); };
  std::vector<uint32_t> ends(size_t{1} << bits);
  for (const HashPlace& place : places) ++ends[bucket_of(place)];
  uint32_t begin = 0;
  for (uint32_t& end : ends)
    begin += std::exchange(end, begin);  // Begins, until all are in their places.
  std::vector<HashPlace> apart(places.size());
  for (const HashPlace& place : places) apart[ends[bucket_of(place)]++] = place;
  begin = 0;
  for (const uint32_t end : ends) {
    std::sort(apart.begin() + begin, apart.begin() + end);
    begin = end;
  }
  places = std::move(apart);
}

template <typename Entry, typename HashOf>
std::vector<HashPlace> OrderByHash(const std::vector<Entry>& entries, HashOf hash_of) {
  std::vector<HashPlace> places(entries.size());
  for (size_t i = 0; i < entries.size(); ++i)
    places[i] = {ReverseHashDigits(hash_of(entries[i])), i};
  SortByHash(places);
  return places;
}

// Of sorted places those stay whose entries have no later one with the same key.
template <typename EntryAt>
void DropReplaced(std::vector<HashPlace>& places, const EntryAt& entry_at) {
  size_t kept = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    bool replaced = false;
    for (size_t later = i + 1; later < places.size() && places[later].digits == places[i].digits;
         ++later) {
      replaced |= entry_at(places[later].index).key == entry_at(places[i].index).key;
    }
    if (!replaced) places[kept++] = places[i];
  }
  places.resize(kept);
}

}  // namespace heddle::agent
