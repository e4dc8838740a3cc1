#include "controlplane/xds/snapshot.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "proto/discovery.pb.h"

namespace heddle::controlplane::xds {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ResourcePtr Encoded(const std::string& name, const std::string& body) {
  static const AnyType type("type");
  return std::make_shared<const EncodedResource>(
      type,
      translate::Resource{.name = name, .version = translate::ContentVersion(body), .body = body});
}

std::map<std::string, std::string> Held(const Snapshot& snapshot) {
  std::map<std::string, std::string> held;
  std::string last;
  snapshot.ForEach([&](const ResourcePtr& resource) {
    EXPECT_LT(last, resource->name());
    last = resource->name();
    held.emplace(resource->name(), resource->version());
  });
  EXPECT_EQ(held.size(), snapshot.size());
  return held;
}

size_t WireBytes(const Snapshot& snapshot) {
  size_t bytes = 0;
  snapshot.ForEach([&bytes](const ResourcePtr& resource) { bytes += resource->wire_size(); });
  return bytes;
}

std::vector<std::string> Names(const std::vector<ResourcePtr>& resources) {
  std::vector<std::string> names;
  for (const ResourcePtr& resource : resources) names.emplace_back(resource->name());
  return names;
}

TEST(EncodedResource, IsAMessageOfTheWireWhoseNameAndVersionCanBeRead) {
  const ResourcePtr resource = Encoded("a name", std::string(300, 'b'));
  envoy::service::discovery::v3::Resource message;
  envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  std::string wire;
  resource->AppendTo(wire);
  EXPECT_EQ(wire.size(), resource->wire_size());
  ASSERT_TRUE(response.ParseFromString(wire));
  ASSERT_EQ(response.resources_size(), 1);
  message = response.resources(0);
  EXPECT_EQ(message.name(), "a name");
  EXPECT_EQ(message.name(), resource->name());
  EXPECT_EQ(message.version(), resource->version());
  EXPECT_EQ(message.resource().type_url(), "type");
  EXPECT_EQ(message.resource().value(), std::string(300, 'b'));
}

// Against a map, over sizes that split and join shards, with edits large and small.
TEST(Snapshot, EditsAndComparisonsAreThoseOfAMap) {
  std::mt19937 random(7);
  const auto below = [&random](size_t limit) { return random() % limit; };
  SnapshotPtr snapshot = Snapshot::Empty();
  std::map<std::string, std::string> model;
  for (int step = 0; step < 300; ++step) {
    const bool grow = step < 100 || (step >= 200 && step < 250);
    std::map<std::string, ResourcePtr> edits;
    for (size_t i = below(step % 7 == 0 ? 300 : 4) + 1; i > 0; --i) {
      const std::string name = absl::StrCat("r", below(1000));
      edits[name] = below(10) < (grow ? 8u : 2u) ? Encoded(name, absl::StrCat(below(3))) : nullptr;
    }
    SnapshotEdit edit;
    std::vector<std::string> changed;
    std::vector<std::string> removed;
    for (const auto& [name, resource] : edits) {
      const auto before = model.find(name);
      if (resource == nullptr) {
        edit.removed.push_back(name);
        if (before != model.end()) removed.push_back(name);
        model.erase(name);
      } else {
        edit.upserted.push_back(resource);
        if (before == model.end() || before->second != resource->version()) changed.push_back(name);
        model.insert_or_assign(name, std::string(resource->version()));
      }
    }
    const auto held = Held(*snapshot);
    const SnapshotPtr next = Snapshot::Advance(snapshot, std::move(edit));
    EXPECT_EQ(next == snapshot, changed.empty() && removed.empty());
    EXPECT_EQ(Held(*next), model);
    EXPECT_EQ(next->wire_bytes(), WireBytes(*next));
    for (const Difference& difference : {Compare(*snapshot, *next), Compare(held, *next)}) {
      EXPECT_EQ(Names(difference.changed), changed);
      EXPECT_EQ(difference.removed, removed);
    }
    for (const auto& [name, resource] : edits)
      EXPECT_EQ(next->Find(name) != nullptr, model.contains(name));
    ASSERT_FALSE(testing::Test::HasFailure()) << "step " << step;
    snapshot = next;
  }
}

TEST(Snapshot, KeepsResourcesThatComeOutTheSame) {
  const SnapshotPtr first = Snapshot::Advance(
      Snapshot::Empty(), {.upserted = {Encoded("a", "1"), Encoded("b", "1")}, .removed = {}});
  EXPECT_EQ(Snapshot::Advance(first, {.upserted = {Encoded("a", "1")}, .removed = {"z"}}), first);
  const SnapshotPtr second =
      Snapshot::Advance(first, {.upserted = {Encoded("a", "2")}, .removed = {}});
  EXPECT_EQ(second->Find("b"), first->Find("b"));
  EXPECT_THAT(Names(Compare(*first, *second).changed), ElementsAre("a"));
  EXPECT_THAT(Compare(*second, *second).changed, IsEmpty());
}

}  // namespace
}  // namespace heddle::controlplane::xds
