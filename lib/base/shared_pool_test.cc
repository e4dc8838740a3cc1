#include "lib/base/shared_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/shared_string.h"

namespace heddle {
namespace {

using Pool = SharedPool<SharedString, std::string_view>;

TEST(SharedPool, FindsWhatWasAdded) {
  Pool pool;
  EXPECT_EQ(pool.Find("a"), nullptr);
  const SharedString a = pool.Add(SharedString("a"));
  ASSERT_NE(pool.Find("a"), nullptr);
  EXPECT_EQ(&pool.Find("a")->ToString(), &a.ToString());
  // The first one stays.
  EXPECT_EQ(&pool.Add(SharedString("a")).ToString(), &a.ToString());
  EXPECT_EQ(pool.size(), 1u);
}

TEST(SharedPool, ForgetsWhatNobodyHolds) {
  Pool pool;
  std::vector<SharedString> held;
  for (int i = 0; i < 100'000; ++i) {
    const SharedString& added = pool.Add(SharedString(std::to_string(i)));
    if (i % 100 == 0) held.push_back(added);
  }
  EXPECT_LE(pool.size(), 2 * held.size() + 1024);
  for (const SharedString& one : held) {
    ASSERT_NE(pool.Find(one), nullptr);
    EXPECT_EQ(&pool.Find(one)->ToString(), &one.ToString());
  }
}

}  // namespace
}  // namespace heddle
