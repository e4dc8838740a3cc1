#include "agent/proxy/worker_loads.h"

#include <gtest/gtest.h>

#include <vector>

namespace heddle::agent {
namespace {

TEST(WorkerLoads, SpreadsConnectionsEvenlyWhereverTheyAreAccepted) {
  WorkerLoads loads(3, 100);
  std::vector<ConnectionPlace> places;
  for (int i = 0; i < 30; ++i) places.push_back(*loads.Take(0));
  for (size_t worker = 0; worker < 3; ++worker) EXPECT_EQ(loads.of(worker), 10u);
}

TEST(WorkerLoads, KeepsAConnectionWhereItWasAcceptedWhenLoadsAreEqual) {
  WorkerLoads loads(3, 100);
  EXPECT_EQ(loads.Take(2)->worker(), 2u);
}

TEST(WorkerLoads, RefusesAndCountsAboveTheLimit) {
  WorkerLoads loads(2, 2);
  auto first = loads.Take(0);
  auto second = loads.TakeOn(1);
  EXPECT_FALSE(loads.Take(0));
  EXPECT_FALSE(loads.TakeOn(0));
  EXPECT_EQ(loads.refused_total(), 2u);
  first.reset();
  EXPECT_TRUE(loads.Take(0));
}

TEST(WorkerLoads, GivesAPlaceBackOnceHoweverItMoved) {
  WorkerLoads loads(1, 2);
  {
    auto place = loads.Take(0);
    ConnectionPlace moved = *std::move(place);
    ConnectionPlace other = *loads.Take(0);
    other = std::move(moved);
    EXPECT_EQ(loads.total(), 1u);
  }
  EXPECT_EQ(loads.total(), 0u);
}

}  // namespace
}  // namespace heddle::agent
