#include "agent/proxy/handshakes.h"

#include <gtest/gtest.h>

namespace heddle::agent {
namespace {

const io::IpAddress kOne = io::IpAddress::V4(10, 0, 0, 1);
const io::IpAddress kOther = io::IpAddress::V4(10, 0, 0, 2);

TEST(Handshakes, GivesOneSourceNoMoreThanItsShare) {
  Handshakes handshakes(4, 2);
  const HandshakePlace first(handshakes, kOne, {});
  {
    const HandshakePlace second(handshakes, kOne, {});
    const HandshakePlace third(handshakes, kOne, {});
    EXPECT_TRUE(first.granted() && second.granted());
    EXPECT_FALSE(third.granted());
    const HandshakePlace other(handshakes, kOther, {});
    EXPECT_TRUE(other.granted());
    EXPECT_EQ(handshakes.under_way(), 3u);
  }
  EXPECT_EQ(handshakes.under_way(), 1u);
  const HandshakePlace again(handshakes, kOne, {});
  EXPECT_TRUE(again.granted());
}

TEST(Handshakes, EndsTheOldestForTheNewestWhenAllPlacesAreTaken) {
  Handshakes handshakes(2, 2);
  HandshakePlace oldest(handshakes, kOne, {});
  HandshakePlace second(handshakes, kOne, {});
  const HandshakePlace newest(handshakes, kOther, {});
  EXPECT_TRUE(newest.granted());
  EXPECT_TRUE(oldest.displaced() && oldest.stop().requested());
  EXPECT_FALSE(second.displaced() || second.stop().requested());
  EXPECT_EQ(handshakes.under_way(), 2u);
  // The displaced one counts for its source no more.
  const HandshakePlace more(handshakes, kOne, {});
  EXPECT_TRUE(more.granted() && second.displaced());
}

TEST(Handshakes, EndWithTheirParent) {
  Handshakes handshakes(1, 1);
  StopSource pod;
  HandshakePlace place(handshakes, kOne, pod.token());
  pod.RequestStop();
  EXPECT_TRUE(place.stop().requested());
  EXPECT_FALSE(place.displaced());
}

}  // namespace
}  // namespace heddle::agent
