#include "lib/base/shared_string.h"

#include <absl/hash/hash_testing.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

TEST(SharedString, CopiesShareTheText) {
  const SharedString a("large-node-1");
  const SharedString b = a;
  EXPECT_EQ(&a.ToString(), &b.ToString());
  EXPECT_EQ(a.holders(), 2u);
  const SharedString apart("large-node-1");
  EXPECT_NE(&a.ToString(), &apart.ToString());
  EXPECT_EQ(a, apart);
  EXPECT_NE(a, SharedString("large-node-2"));
}

TEST(SharedString, AnEmptyOneIsHeldByNobody) {
  EXPECT_EQ(SharedString(), SharedString(""));
  EXPECT_TRUE(SharedString(std::string_view()).empty());
  EXPECT_EQ(SharedString("").holders(), 0u);
  EXPECT_EQ(SharedString().ToString(), "");
}

TEST(SharedString, OutlivesTheOneThatItWasCopiedFrom) {
  std::optional<SharedString> first("a text that is longer than what a std::string has room for");
  SharedString second = *first;
  first.reset();
  EXPECT_EQ(second.holders(), 1u);
  EXPECT_EQ(second, "a text that is longer than what a std::string has room for");
  SharedString third = std::move(second);
  third = SharedString(third);
  EXPECT_EQ(third.holders(), 1u);
  third = SharedString();
  EXPECT_TRUE(third.empty());
}

TEST(SharedString, ComparesAndConvertsLikeItsText) {
  const SharedString b("b");
  EXPECT_LT(SharedString("a"), b);
  EXPECT_LT(SharedString(), b);
  EXPECT_EQ(b, std::string("b"));
  EXPECT_EQ("b", b);
  EXPECT_NE(b, std::string_view("c"));
  const std::string text = b;
  const std::string_view view = b;
  EXPECT_EQ(text, view);
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(
      {SharedString(), SharedString("b"), SharedString("c")}));
}

TEST(SharedString, MayBeCopiedAndDroppedOnAnyThread) {
  std::optional<SharedString> first("shared by all of them");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([mine = *first] {
      for (int k = 0; k < 10'000; ++k) {
        const SharedString copy = mine;
        ASSERT_EQ(copy, mine);
      }
    });
  }
  first.reset();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace heddle
