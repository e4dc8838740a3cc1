#include "lib/io/address.h"

#include <gtest/gtest.h>

namespace heddle::io {
namespace {

TEST(IpAddress, TreatsAMappedAddressAsIpv4) {
  EXPECT_EQ(IpAddress::Parse("::ffff:10.0.0.1"), IpAddress::V4(10, 0, 0, 1));
  EXPECT_EQ(IpAddress::Parse("::ffff:10.0.0.1")->ToString(), "10.0.0.1");
}

TEST(IpAddress, RefusesWhatIsNotAnAddress) {
  for (const char* text : {"", "10.0.0", "10.0.0.256", "1.2.3.4 ", "fe80::1%eth0", "[::1]", "::ffff:1.2.3.4.5", "a"}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
  const std::array<uint8_t, 5> five{};
  EXPECT_FALSE(IpAddress::FromBytes(five));
}

TEST(SocketAddress, ParsesAndPrintsBothFamilies) {
  for (const char* text : {"10.1.2.3:80", "[fd00::1]:15008", "0.0.0.0:0"}) {
    const auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ToString(), text);
  }
  for (const char* text : {"10.1.2.3", "10.1.2.3:", "10.1.2.3:65536", "fd00::1:80", "[10.1.2.3]:80", ":80", "a:1",
                           "1.2.3.4:+1"}) {
    EXPECT_FALSE(SocketAddress::Parse(text)) << text;
  }
}

TEST(SocketAddress, GoesThroughTheKernelsForm) {
  for (const char* text : {"10.1.2.3:80", "[fd00::1]:15008"}) {
    const auto address = *SocketAddress::Parse(text);
    for (const int family : {address.family(), AF_INET6}) {
      sockaddr_storage storage;
      EXPECT_GT(address.ToKernel(family, storage), 0u);
      EXPECT_EQ(SocketAddress::FromKernel(storage), address);
    }
  }
}

TEST(IpPrefix, ContainsOnlyItsOwnFamily) {
  EXPECT_TRUE(IpPrefix::Parse("10.0.0.0/8")->Contains(*IpAddress::Parse("10.255.0.1")));
  EXPECT_FALSE(IpPrefix::Parse("10.0.0.0/8")->Contains(*IpAddress::Parse("11.0.0.1")));
  EXPECT_FALSE(IpPrefix::Parse("::/0")->Contains(*IpAddress::Parse("10.0.0.1")));
  EXPECT_TRUE(IpPrefix::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("10.0.0.1")));
  EXPECT_TRUE(IpPrefix::Parse("fd00::/64")->Contains(*IpAddress::Parse("fd00::7")));
  EXPECT_EQ(IpPrefix::Parse("10.1.2.3/8")->ToString(), "10.0.0.0/8");
}

TEST(IpPrefix, RefusesLengthsOutOfRange) {
  for (const char* text : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/a", "/8", "10.0.0.0/8/8"}) {
    EXPECT_FALSE(IpPrefix::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace heddle::io
