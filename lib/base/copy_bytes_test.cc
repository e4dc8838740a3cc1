#include "lib/base/copy_bytes.h"

#include <gtest/gtest.h>

#include <vector>

namespace heddle {
namespace {

constexpr size_t kPage = 4096;

std::vector<uint8_t> Numbered(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 251);
  return bytes;
}

// At distances where it goes in pieces and where it does not, at and around the end of a piece: exactly what was asked
// for, and nothing beside it.
TEST(CopyBytes, CopiesAllAndNothingElse) {
  alignas(kPage) static uint8_t from[8 * kPage];
  alignas(kPage) static uint8_t to[8 * kPage];
  const std::vector<uint8_t> source = Numbered(sizeof(from));
  std::ranges::copy(source, from);
  for (const size_t offset : {size_t{0}, size_t{1}, size_t{9}, size_t{31}, size_t{32}, size_t{4090}}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{1983}, size_t{1984}, size_t{1985}, size_t{16384},
                              size_t{20001}}) {
      std::ranges::fill(to, 0xee);
      CopyBytes(std::span(from).first(size), to + offset);
      EXPECT_TRUE(std::equal(from, from + size, to + offset)) << offset << " " << size;
      EXPECT_TRUE(std::all_of(to, to + offset, [](uint8_t byte) { return byte == 0xee; })) << offset << " " << size;
      EXPECT_EQ(to[offset + size], 0xee) << offset << " " << size;
    }
  }
}

}  // namespace
}  // namespace heddle
