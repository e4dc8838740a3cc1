#include "lib/io/buffer.h"

#include <gtest/gtest.h>

#include <vector>

namespace heddle::io {
namespace {

constexpr size_t kMiB = 1024 * 1024;

TEST(BufferPool, GivesBlocksThatHoldTheSizeAsked) {
  BufferPool pool(64 * kMiB);
  struct { size_t size; size_t capacity; } cases[] = {
      {0, BufferPool::kSmall}, {1, BufferPool::kSmall}, {BufferPool::kSmall, BufferPool::kSmall},
      {BufferPool::kSmall + 1, BufferPool::kRecord}, {BufferPool::kRecord, BufferPool::kRecord},
      {BufferPool::kRecord + 1, BufferPool::kBulk}, {BufferPool::kBulkMax, BufferPool::kBulkMax}};
  for (const auto& c : cases) EXPECT_EQ(pool.Allocate(c.size).capacity(), c.capacity) << c.size;
}

TEST(BufferPool, GivesNoBlockTwice) {
  BufferPool pool(64 * kMiB);
  std::vector<Buffer> buffers;
  for (size_t i = 0; i < 700; ++i) {
    buffers.push_back(pool.Allocate(BufferPool::kSmall));
    const auto room = buffers.back().writable();
    std::fill(room.begin(), room.end(), static_cast<uint8_t>(i));
    buffers.back().Commit(room.size());
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    for (const uint8_t byte : buffers[i].bytes()) ASSERT_EQ(byte, static_cast<uint8_t>(i));
  }
}

TEST(BufferPool, GivesMemoryBackWhenNothingIsInUse) {
  BufferPool pool(64 * kMiB);
  {
    std::vector<Buffer> buffers;
    for (int i = 0; i < 100; ++i) buffers.push_back(pool.Allocate(BufferPool::kBulk));
    EXPECT_EQ(pool.stats().in_use_bytes, 100 * BufferPool::kBulk);
    EXPECT_EQ(pool.Trim(), 0u) << "every slab holds a buffer";
  }
  EXPECT_EQ(pool.stats().in_use_bytes, 0u);
  EXPECT_EQ(pool.stats().mapped_bytes, 7 * kMiB);
  EXPECT_EQ(pool.Trim(2 * kMiB), 2 * kMiB);
  EXPECT_EQ(pool.Trim(), 5 * kMiB);
  EXPECT_EQ(pool.stats().mapped_bytes, 0u);
}

TEST(BufferPool, GivesPagesOfBlocksBackThatAreNotNeededWhileOthersAre) {
  BufferPool pool(64 * kMiB);
  const Buffer held = pool.Allocate(BufferPool::kBulk);
  // Whether the block that was freed last still has what was written into it.
  const auto has_its_bytes = [&pool] {
    Buffer buffer = pool.Allocate(BufferPool::kBulk);
    return buffer.writable()[BufferPool::kBulk / 2] != 0;
  };
  {
    Buffer used = pool.Allocate(BufferPool::kBulk);
    std::fill(used.writable().begin(), used.writable().end(), uint8_t{1});
  }
  pool.Trim();
  EXPECT_TRUE(has_its_bytes()) << "it was needed since the trim before";
  pool.Trim();
  pool.Trim();
  EXPECT_FALSE(has_its_bytes());
}

TEST(BufferPool, RefusesAtItsLimitAndRecovers) {
  BufferPool pool(2 * kMiB);
  std::vector<Buffer> buffers;
  while (true) {
    Buffer buffer = pool.Allocate(BufferPool::kBulkMax);
    if (buffer.capacity() == 0) break;
    buffers.push_back(std::move(buffer));
  }
  EXPECT_EQ(buffers.size(), 2 * (kMiB / BufferPool::kBulkMax));
  EXPECT_EQ(pool.stats().refused_total, 1u);
  buffers.clear();
  EXPECT_GT(pool.Allocate(BufferPool::kSmall).capacity(), 0u) << "slabs of another size class are given up for it";
}

TEST(Buffer, ConsumesFromTheFrontAndCommitsAtTheBack) {
  BufferPool pool(kMiB);
  Buffer buffer = pool.Allocate(10);
  std::copy_n("hello", 5, buffer.writable().begin());
  buffer.Commit(5);
  buffer.Consume(2);
  EXPECT_EQ(std::string(buffer.bytes().begin(), buffer.bytes().end()), "llo");
  Buffer other = std::move(buffer);
  EXPECT_EQ(buffer.capacity(), 0u);  // NOLINT(bugprone-use-after-move): empty by contract.
  EXPECT_EQ(other.size(), 3u);
  other.Release();
  EXPECT_EQ(pool.stats().in_use_bytes, 0u);
}

}  // namespace
}  // namespace heddle::io
