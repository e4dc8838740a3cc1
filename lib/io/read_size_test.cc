#include "lib/io/read_size.h"

#include <gtest/gtest.h>

namespace heddle::io {
namespace {

TEST(ReadSize, GrowsWithFullReads) {
  ReadSize size;
  EXPECT_EQ(size.hint(), BufferPool::kSmall);
  for (int i = 0; i < 5; ++i) size.Note(size.hint());
  EXPECT_EQ(size.hint(), ReadSize::kLargest);
}

TEST(ReadSize, ShrinksWithSmallReadsOneAfterTheOther) {
  ReadSize size;
  for (int i = 0; i < 5; ++i) size.Note(size.hint());
  for (int i = 0; i < 3 * ReadSize::kPatience; ++i) size.Note(1);
  EXPECT_EQ(size.hint(), BufferPool::kSmall);
  size.Note(1);
  EXPECT_EQ(size.hint(), BufferPool::kSmall);
}

TEST(ReadSize, KeepsTheSizeOfAnUnevenFlow) {
  ReadSize size;
  for (int i = 0; i < 5; ++i) size.Note(size.hint());
  for (int i = 0; i < 100; ++i) size.Note(i % ReadSize::kPatience == 0 ? size.hint() / 2 : 1);
  EXPECT_EQ(size.hint(), ReadSize::kLargest);
}

}  // namespace
}  // namespace heddle::io
