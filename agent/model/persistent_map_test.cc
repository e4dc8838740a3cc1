#include "agent/model/persistent_map.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "lib/base/random.h"

namespace heddle::agent {
namespace {

using Map = PersistentMap<std::string, int>;
using Plain = std::map<std::string, int>;

Plain Contents(const Map& map) {
  Plain contents;
  map.ForEach([&contents](const std::string& key, int value) { EXPECT_TRUE(contents.emplace(key, value).second); });
  EXPECT_EQ(contents.size(), map.size());
  return contents;
}

TEST(PersistentMap, FindsWhatWasPutAndNothingElse) {
  Map map;
  EXPECT_EQ(map.Find(std::string("a")), nullptr);
  map.Put(1, "a", 1);
  map.Put(1, "a", 2);
  ASSERT_NE(map.Find(std::string("a")), nullptr);
  EXPECT_EQ(*map.Find(std::string("a")), 2);
  EXPECT_EQ(map.Find(std::string("b")), nullptr);
  EXPECT_EQ(map.size(), 1u);
  EXPECT_FALSE(map.Erase(1, "b"));
  EXPECT_TRUE(map.Erase(1, "a"));
  EXPECT_TRUE(map.empty());
}

TEST(PersistentMap, FindsStringsByViews) {
  Map map;
  for (int i = 0; i < 1000; ++i) map.Put(1, std::to_string(i), i);
  for (int i = 0; i < 1000; ++i) EXPECT_NE(map.Find(std::string_view(std::to_string(i))), nullptr);
  EXPECT_NE(map.Find("7"), nullptr);
}

TEST(PersistentMap, CopiesStayAsTheyWereWhileTheOriginalChanges) {
  SeededRandom random(7);
  Map map;
  Plain plain;
  std::vector<std::pair<Map, Plain>> copies;
  EditId edit = 1;
  for (int step = 0; step < 20000; ++step) {
    const std::string key = std::to_string(random.Below(3000));
    // Grows to thousands of entries, shrinks to a few, and grows again: shards split and merge.
    const bool shrink = step / 6000 % 2 == 1;
    if (random.Below(10) < (shrink ? 9u : 2u)) {
      EXPECT_EQ(map.Erase(edit, key), plain.erase(key) == 1);
    } else {
      map.Put(edit, key, step);
      plain[key] = step;
    }
    if (step % 1000 == 0) {
      copies.emplace_back(map, plain);
      ++edit;
    }
  }
  EXPECT_EQ(Contents(map), plain);
  for (const auto& [copy, want] : copies) EXPECT_EQ(Contents(copy), want);
}

TEST(PersistentMap, IsMadeOfManyEntriesAsIfTheyWerePut) {
  SeededRandom random(11);
  for (const size_t size : {0u, 1u, 64u, 65u, 5000u}) {
    std::vector<Map::Entry> entries;
    Plain plain;
    for (size_t i = 0; i < size; ++i) {
      // Some come twice.
      entries.push_back({std::to_string(random.Below(2 * size)), static_cast<int>(i)});
      plain[entries.back().key] = entries.back().value;
    }
    Map map = Map::Make(1, std::move(entries));
    EXPECT_EQ(Contents(map), plain);
    for (const auto& [key, value] : plain) EXPECT_EQ(*map.Find(key), value);
    const Map copy = map;
    const Plain before = plain;
    for (int i = 0; i < 1000; ++i) {
      const std::string key = std::to_string(random.Below(2 * size + 1));
      if (i % 2 == 0) {
        map.Put(2, key, -i);
        plain[key] = -i;
      } else {
        EXPECT_EQ(map.Erase(2, key), plain.erase(key) == 1);
      }
    }
    EXPECT_EQ(Contents(map), plain);
    EXPECT_EQ(Contents(copy), before);
  }
}

// Hashes to one of two values, so that shards fill up with equal hashes.
struct Colliding {
  int id = 0;
  bool operator==(const Colliding&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const Colliding& key) {
    return H::combine(std::move(state), key.id < 200);
  }
};

TEST(PersistentMap, KeepsKeysWithEqualHashesApart) {
  PersistentMap<Colliding, int> map;
  for (int i = 0; i < 400; ++i) map.Put(1, Colliding{i}, i);
  EXPECT_EQ(map.size(), 400u);
  for (int i = 0; i < 400; i += 2) EXPECT_TRUE(map.Erase(2, Colliding{i}));
  for (int i = 0; i < 400; ++i) {
    const int* found = map.Find(Colliding{i});
    ASSERT_EQ(found != nullptr, i % 2 == 1) << i;
    if (found != nullptr) EXPECT_EQ(*found, i);
  }
}

TEST(PersistentMap, IsMadeOfKeysWithEqualHashes) {
  using Collisions = PersistentMap<Colliding, int>;
  std::vector<Collisions::Entry> entries;
  for (int i = 0; i < 800; ++i) entries.push_back({Colliding{i % 400}, i});
  Collisions map = Collisions::Make(1, std::move(entries));
  EXPECT_EQ(map.size(), 400u);
  for (int i = 0; i < 400; ++i) EXPECT_EQ(*map.Find(Colliding{i}), 400 + i);
  for (int i = 0; i < 400; ++i) EXPECT_TRUE(map.Erase(2, Colliding{i}));
  EXPECT_TRUE(map.empty());
}

}  // namespace
}  // namespace heddle::agent
