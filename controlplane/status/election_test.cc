#include "controlplane/status/election.h"

#include <gtest/gtest.h>

#include <vector>

namespace heddle::controlplane::status {
namespace {

MonotonicTime At(double seconds) {
  return MonotonicTime() + absl::Seconds(1000) + absl::Seconds(seconds);
}
absl::Time Wall(double seconds) {
  return absl::FromUnixSeconds(1'800'000'000) + absl::Seconds(seconds);
}

// A Lease that a server keeps: a write counts when it names the version that is there.
class Server {
 public:
  std::optional<Lease> lease;
  bool Write(Lease bid, Election& by, MonotonicTime began) {
    const std::string version = lease.has_value() ? lease->resource_version : "";
    if (bid.resource_version != version) {
      by.Refused();
      return false;
    }
    bid.resource_version = std::to_string(++version_);
    lease = bid;
    by.Won(bid, began);
    return true;
  }

 private:
  int version_ = 0;
};

bool TryToLead(Election& election, Server& server, double now) {
  if (election.must_read()) election.Observe(server.lease, At(now));
  std::optional<Lease> bid = election.Bid(At(now), Wall(now));
  return bid.has_value() && server.Write(*bid, election, At(now));
}

TEST(Election, TheFirstOneLeadsAndTheOthersWaitUntilItIsSilentForTheWholeDuration) {
  Server server;
  Election a("a");
  Election b("b");
  EXPECT_TRUE(TryToLead(a, server, 0));
  EXPECT_FALSE(TryToLead(b, server, 1));
  EXPECT_TRUE(TryToLead(a, server, 2)) << "it renews";
  EXPECT_EQ(server.lease->transitions, 0);
  EXPECT_EQ(server.lease->acquired, Wall(0));
  EXPECT_FALSE(TryToLead(b, server, 3)) << "sees the renewal";
  EXPECT_FALSE(TryToLead(b, server, 17.9));
  EXPECT_TRUE(TryToLead(b, server, 18));
  EXPECT_EQ(server.lease->holder, "b");
  EXPECT_EQ(server.lease->transitions, 1);
}

struct Leading {
  const char* what;
  double now;
  bool leads;
};

TEST(Election, LeadsUntilTenSecondsAfterItsLastWriteBegan) {
  Server server;
  Election a("a");
  a.Observe(std::nullopt, At(0));
  ASSERT_TRUE(server.Write(*a.Bid(At(0), Wall(0)), a, At(0)));
  for (const Leading& each : std::vector<Leading>{{"at once", 0, true},
                                                  {"before the deadline", 9.9, true},
                                                  {"at the deadline", 10, false},
                                                  {"a process that was stopped", 600, false}}) {
    EXPECT_EQ(a.leads(At(each.now)), each.leads) << each.what;
  }
}

TEST(Election, TwoNeverLeadAtTheSameTimeWhateverTheirClocksSay) {
  Server server;
  Election a("a");
  Election b("b");
  ASSERT_TRUE(TryToLead(a, server, 0));
  // Wall clocks a year apart, and a Lease that b reads for the first time when it is already old.
  server.lease->renewed = Wall(-3e7);
  server.lease->acquired = Wall(3e7);
  for (double now = 5; now < 20; now += 0.5) {
    EXPECT_FALSE(TryToLead(b, server, now)) << now;
    EXPECT_FALSE(b.leads(At(now)));
  }
  EXPECT_TRUE(TryToLead(b, server, 20));
  EXPECT_FALSE(a.leads(At(20)));
}

TEST(Election, OfTwoBidsForAFreeLeaseOneCounts) {
  Server server;
  Election a("a");
  Election b("b");
  a.Observe(server.lease, At(0));
  b.Observe(server.lease, At(0));
  EXPECT_TRUE(server.Write(*a.Bid(At(0), Wall(0)), a, At(0)));
  EXPECT_FALSE(server.Write(*b.Bid(At(0), Wall(0)), b, At(0)));
  EXPECT_TRUE(b.must_read());
  EXPECT_FALSE(b.Bid(At(0), Wall(0)).has_value());
  EXPECT_FALSE(TryToLead(b, server, 1));
}

TEST(Election, WhatIsReleasedIsTakenAtOnce) {
  Server server;
  Election a("a");
  Election b("b");
  ASSERT_TRUE(TryToLead(a, server, 0));
  EXPECT_FALSE(TryToLead(b, server, 0.5));
  const auto released = a.Release(At(1), Wall(1));
  ASSERT_TRUE(released.has_value());
  EXPECT_FALSE(a.leads(At(1))) << "from before it is written";
  ASSERT_TRUE(server.Write(*released, a, At(1)));
  EXPECT_FALSE(a.leads(At(1)));
  EXPECT_TRUE(TryToLead(b, server, 1.5));
  EXPECT_FALSE(a.Release(At(2), Wall(2)).has_value()) << "it is not its own any more";
}

TEST(Election, ALeaseOfItsOwnNameIsItsOwnAfterARestart) {
  Server server;
  Election before("a");
  ASSERT_TRUE(TryToLead(before, server, 0));
  Election after("a");
  EXPECT_TRUE(TryToLead(after, server, 1));
  EXPECT_EQ(server.lease->transitions, 0);
}

TEST(Election, CeasesToLeadWhenItSeesAnotherHolder) {
  Server server;
  Election a("a");
  ASSERT_TRUE(TryToLead(a, server, 0));
  server.lease->holder = "intruder";
  server.lease->resource_version = "9";
  EXPECT_FALSE(server.Write(*a.Bid(At(2), Wall(2)), a, At(2)));
  EXPECT_FALSE(TryToLead(a, server, 2));
  EXPECT_FALSE(a.leads(At(2)));
  EXPECT_FALSE(TryToLead(a, server, 16));
  EXPECT_TRUE(TryToLead(a, server, 17));
}

TEST(Election, AHolderThatAsksForLongerGetsIt) {
  Server server;
  server.lease = Lease{.holder = "slow", .duration = absl::Seconds(60), .resource_version = "1"};
  Election a("a");
  EXPECT_FALSE(TryToLead(a, server, 0));
  EXPECT_FALSE(TryToLead(a, server, 59));
  // The version that is there is not one of this server's.
  a.Observe(server.lease, At(60));
  EXPECT_TRUE(a.Bid(At(60), Wall(60)).has_value());
}

TEST(Lease, IsReadAsItWasWritten) {
  const Lease lease{.holder = "a",
                    .duration = absl::Seconds(15),
                    .acquired = Wall(0.25),
                    .renewed = Wall(1.000001),
                    .transitions = 3,
                    .resource_version = "77"};
  const auto read = ParseLease(ToJson(lease, "heddle-system", "heddle-controller"));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, lease);
}

TEST(Lease, WhatIsNotSetOrOfAnotherFormIsEmpty) {
  const auto read =
      ParseLease(R"({"metadata":{"name":"x"},"spec":{"renewTime":7,"leaseTransitions":"a"}})");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, (Lease{.acquired = absl::InfinitePast(), .renewed = absl::InfinitePast()}));
  for (const char* text : {"", "[]", "{}", "{\"metadata\":3}"})
    EXPECT_FALSE(ParseLease(text).ok()) << text;
}

}  // namespace
}  // namespace heddle::controlplane::status
