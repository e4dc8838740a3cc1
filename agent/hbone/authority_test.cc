#include "agent/hbone/authority.h"

#include <gtest/gtest.h>

namespace heddle::agent {
namespace {

TEST(Authority, ReadsAddressesAndNames) {
  const struct {
    std::string_view text;
    std::string_view want;
  } cases[] = {
      {"10.0.0.1:80", "10.0.0.1:80"},
      {"[fd00::1]:65535", "[fd00::1]:65535"},
      {"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
      {"web.shop.svc.cluster.local:8080", "web.shop.svc.cluster.local:8080"},
      {"WEB.shop:1", "web.shop:1"},
      {"localhost:1", "localhost:1"},
      {"a_b.c-d:1", "a_b.c-d:1"},
  };
  for (const auto& c : cases) {
    const auto authority = ParseAuthority(c.text);
    ASSERT_TRUE(authority) << c.text;
    EXPECT_EQ(ToString(*authority), c.want);
  }
}

TEST(Authority, RefusesEverythingElse) {
  const std::string_view cases[] = {
      "",
      ":",
      ":80",
      "10.0.0.1",
      "10.0.0.1:",
      "10.0.0.1:0",
      "10.0.0.1:080",
      "10.0.0.1:65536",
      "10.0.0.1:+80",
      "10.0.0.1:80 ",
      " 10.0.0.1:80",
      "fd00::1:80",
      "[10.0.0.1]:80",
      "[fd00::1%eth0]:80",
      "[fd00::1:80",
      "fd00::1]:80",
      "user@host:80",
      "host:80/path",
      "http://host:80",
      "host..name:80",
      ".host:80",
      "host.:80",
      "-host:80",
      "host-:80",
      "h\xc3\xb6st:80",
      "127.1:80",
      "2130706433:80",
      "0x7f000001.1:80",
      std::string_view("ho\0st:80", 8),
      "host:80:80",
      "[web]:80",
  };
  for (const auto text : cases) EXPECT_FALSE(ParseAuthority(text)) << text;
}

TEST(Authority, BoundsItsLength) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + label.substr(0, 61);
  EXPECT_TRUE(ParseAuthority(longest + ":65535"));
  EXPECT_FALSE(ParseAuthority(longest + "a:65535"));
  EXPECT_FALSE(ParseAuthority(label + "a:80"));
}

}  // namespace
}  // namespace heddle::agent
