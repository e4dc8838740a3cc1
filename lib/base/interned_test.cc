#include "lib/base/interned.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using Text = Interned<std::string>;

TEST(Interned, HoldsEqualValuesOnce) {
  const Text a(std::string("node-1"));
  const Text b(std::string("node-1"));
  const Text other(std::string("node-2"));
  EXPECT_EQ(&*a, &*b);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, other);
  EXPECT_EQ(*a, std::string("node-1"));
  EXPECT_NE(*a, std::string("node-2"));
  EXPECT_EQ(*a, "node-1");
}

TEST(Interned, IsEmptyByDefaultAndEqualToAnEmptyValue) {
  EXPECT_EQ(Text(), Text(std::string()));
  EXPECT_TRUE(Text()->empty());
  using Map = std::map<std::string, std::string>;
  EXPECT_EQ(Interned<Map>(), Interned<Map>(Map()));
  EXPECT_EQ(Interned<Map>(Map{{"a", "b"}}), Interned<Map>(Map{{"a", "b"}}));
  EXPECT_NE(Interned<Map>(Map{{"a", "b"}}), Interned<Map>(Map{{"a", "c"}}));
}

TEST(Interned, OutlivesTheOneThatMadeIt) {
  std::optional<Text> first(std::string("value"));
  const Text second = *first;
  first.reset();
  EXPECT_EQ(*second, "value");
  EXPECT_EQ(Text(std::string("value")), second);
}

TEST(Interned, IsMadeAnewAfterItsLastHolder) {
  for (int i = 0; i < 3; ++i) {
    const Text text(std::string("comes and goes"));
    EXPECT_EQ(Text(std::string("comes and goes")), text);
  }
}

TEST(Interned, IsOneAmongThreads) {
  const Text held(std::string("held"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&held] {
      for (int round = 0; round < 2000; ++round) {
        const Text passing(std::string("passing"));  // Made and let go by all of them.
        EXPECT_EQ(*passing, "passing");
        EXPECT_EQ(Text(std::string("held")), held);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace heddle
