#include "lib/base/rare.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace heddle {
namespace {

using Text = Rare<std::string>;

TEST(Rare, IsAValue) {
  Text a;
  EXPECT_FALSE(a.has_value());
  a = std::string("x");
  Text b = a;
  a = std::string("y");
  EXPECT_EQ(*a, "y");
  EXPECT_EQ(*b, "x");
  const Text c = std::move(b);
  EXPECT_EQ(*c, "x");
  a = Text();
  EXPECT_FALSE(a.has_value());
}

TEST(Rare, ComparesByWhatIsThere) {
  EXPECT_EQ(Text(), Text());
  EXPECT_EQ(Text("x"), Text("x"));
  EXPECT_NE(Text("x"), Text("y"));
  EXPECT_NE(Text("x"), Text());
}

}  // namespace
}  // namespace heddle
