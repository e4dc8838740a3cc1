#pragma once

#include <absl/hash/hash.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/model/hash_order.h"
#include "lib/base/strings.h"

namespace heddle::agent {

// Which batch of changes a node was made in. Nodes of the running batch are changed in place, all others are copied
// first.
using EditId = uint64_t;

// A hash map whose copies share what they have in common. A copy costs one reference count; a change copies one
// shard of at most 64 entries and the path to it, and that once per batch. Copies may be read from any thread
// without locks while another copy is changed, provided that the changing side starts a new, never used EditId
// after each copy that it gives away.
//
//     root -- 16 children by the next 4 bits of the hash -- ... -- shard: hashes in a row, and the entries beside them
//
// A full shard splits by itself, so that no change ever pays for the whole map (design.md section 4).
template <typename Key, typename Value>
class PersistentMap {
 public:
  struct Entry {
    Key key;
    Value value;
  };

  // A map of all these: at a fraction of what it costs to put one after the other. Of two with one key the last.
  static PersistentMap Make(EditId edit, std::vector<Entry> entries) {
    return MakeSorted(edit, OrderByHash(entries, [](const Entry& entry) { return Hash(entry.key); }),
                      [&entries](uint64_t index) -> Entry& { return entries[index]; });
  }

  // The same of entries whose places are sorted; `entry_at` gives each by its index, to be moved from.
  template <typename EntryAt>
  static PersistentMap MakeSorted(EditId edit, std::vector<HashPlace> places, const EntryAt& entry_at) {
    DropReplaced(places, entry_at);
    PersistentMap map;
    if (!places.empty()) map.root_ = MakeNode(edit, entry_at, places, 0);
    return map;
  }

  // Debian's abseil hashes std::string_view other than std::string, so all text goes through its own string_view.
  template <typename Query>
  static uint64_t Hash(const Query& key) {
    if constexpr (std::convertible_to<const Query&, std::string_view>) {
      return absl::Hash<absl::string_view>{}(ToAbsl(key));
    } else {
      return absl::Hash<Query>{}(key);
    }
  }

  size_t size() const { return root_ == nullptr ? 0 : root_->count; }
  bool empty() const { return size() == 0; }

  // nullptr if there is none. Any type that hashes and compares like Key.
  template <typename Query>
  const Value* Find(const Query& key) const {
    if (root_ == nullptr) return nullptr;  // Many maps are empty, and a hash has its price.
    const uint64_t hash = Hash(key);
    const Node* node = root_.get();
    for (int shift = 0; node != nullptr && node->children != nullptr; shift += kBits) {
      node = (*node->children)[Slot(hash, shift)].get();
    }
    if (node == nullptr) return nullptr;
    const size_t index = IndexOf(*node, hash, key);
    return index == node->entries.size() ? nullptr : &node->entries[index].value;
  }

  // The batch of the last change; 0 for an empty map. Whoever goes on from a map that somebody else has made takes a
  // later one.
  EditId last_edit() const { return root_ == nullptr ? 0 : root_->edit; }

  // The value of the key, made if there is none, to be changed before the batch ends. The reference ends with the
  // next change.
  Value& Mutable(EditId edit, const Key& key) {
    const uint64_t hash = Hash(key);
    std::array<Node*, kDepthMax> path;
    size_t depth = 0;
    std::shared_ptr<Node>* slot = &root_;
    while (true) {
      Node& node = *(path[depth++] = &Own(edit, *slot));
      if (node.children == nullptr) {
        const size_t index = IndexOf(node, hash, key);
        if (index < node.entries.size()) return node.entries[index].value;
        if (node.entries.size() < kShardEntriesMax || depth == kDepthMax) break;
        Split(edit, node, kBits * static_cast<int>(depth - 1));
      }
      slot = &(*node.children)[Slot(hash, kBits * static_cast<int>(depth - 1))];
    }
    for (size_t i = 0; i < depth; ++i) ++path[i]->count;
    Node& shard = *path[depth - 1];
    shard.hashes.push_back(hash);
    return shard.entries.emplace_back(Entry{key, Value()}).value;
  }

  void Put(EditId edit, const Key& key, Value value) { Mutable(edit, key) = std::move(value); }

  // False if there is none.
  bool Erase(EditId edit, const Key& key) {
    if (Find(key) == nullptr) return false;
    EraseFrom(edit, root_, Hash(key), key, 0);
    return true;
  }

  // In no particular order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    if (root_ != nullptr) VisitNode(*root_, visit);
  }

 private:
  static constexpr int kBits = kHashDigitBits;
  static constexpr size_t kFanOut = 1 << kBits;
  static constexpr size_t kDepthMax = 64 / kBits;  // Below it a shard of equal hashes just grows.
  static constexpr size_t kShardEntriesMax = 64;
  static constexpr size_t kMergeEntriesMax = kShardEntriesMax / 2;  // Well below the split, so that no key flips it.

  struct Node;
  using Children = std::array<std::shared_ptr<Node>, kFanOut>;
  struct Node {
    EditId edit = 0;
    size_t count = 0;                    // Entries at and below.
    std::vector<uint64_t> hashes;        // Of a shard: of `entries`, whose keys are looked at where they are the same.
    std::vector<Entry> entries;          // Of a shard.
    std::unique_ptr<Children> children;  // Of an inner node.
  };

  static size_t Slot(uint64_t hash, int shift) { return (hash >> shift) & (kFanOut - 1); }

  template <typename EntryAt>
  static std::shared_ptr<Node> MakeNode(EditId edit, const EntryAt& entry_at, HashPlaces places, size_t depth) {
    auto node = std::make_shared<Node>(Node{.edit = edit, .count = places.size()});
    if (places.size() <= kShardEntriesMax || depth + 1 == kDepthMax) {
      node->hashes.reserve(places.size());
      node->entries.reserve(places.size());
      for (const HashPlace& place : places) {
        node->hashes.push_back(ReverseHashDigits(place.digits));
        node->entries.push_back(std::move(entry_at(place.index)));
      }
      return node;
    }
    node->children = std::make_unique<Children>();
    while (!places.empty()) {
      const auto same = FirstOfOneDigit(places, depth);
      (*node->children)[DigitAt(same.front(), depth)] = MakeNode(edit, entry_at, same, depth + 1);
      places = places.subspan(same.size());
    }
    return node;
  }

  // entries.size() if there is none.
  template <typename Query>
  static size_t IndexOf(const Node& shard, uint64_t hash, const Query& key) {
    size_t i = 0;
    while (i < shard.hashes.size() && !(shard.hashes[i] == hash && shard.entries[i].key == key)) ++i;
    return i;
  }

  // Makes the node behind the slot one that this batch may change.
  static Node& Own(EditId edit, std::shared_ptr<Node>& slot) {
    if (slot == nullptr) {
      slot = std::make_shared<Node>();
    } else if (slot->edit != edit) {
      auto copy = std::make_shared<Node>();
      copy->count = slot->count;
      copy->hashes = slot->hashes;
      copy->entries = slot->entries;
      if (slot->children != nullptr) copy->children = std::make_unique<Children>(*slot->children);
      slot = std::move(copy);
    }
    slot->edit = edit;
    return *slot;
  }

  static void Split(EditId edit, Node& node, int shift) {
    node.children = std::make_unique<Children>();
    for (size_t i = 0; i < node.entries.size(); ++i) {
      Node& child = Own(edit, (*node.children)[Slot(node.hashes[i], shift)]);
      child.hashes.push_back(node.hashes[i]);
      child.entries.push_back(std::move(node.entries[i]));
      ++child.count;
    }
    node.hashes = {};
    node.entries = {};
  }

  // The key is there.
  static void EraseFrom(EditId edit, std::shared_ptr<Node>& slot, uint64_t hash, const Key& key, int shift) {
    Node& node = Own(edit, slot);
    if (--node.count == 0) {
      slot = nullptr;
      return;
    }
    if (node.children == nullptr) {
      const size_t index = IndexOf(node, hash, key);
      std::swap(node.hashes[index], node.hashes.back());
      std::swap(node.entries[index], node.entries.back());
      node.hashes.pop_back();
      node.entries.pop_back();
      return;
    }
    EraseFrom(edit, (*node.children)[Slot(hash, shift)], hash, key, shift + kBits);
    if (node.count <= kMergeEntriesMax) Merge(node);
  }

  static void Merge(Node& node) {
    std::vector<uint64_t> hashes;
    std::vector<Entry> entries;
    hashes.reserve(node.count);
    entries.reserve(node.count);
    VisitShards(node, [&](const Node& shard) {
      hashes.insert(hashes.end(), shard.hashes.begin(), shard.hashes.end());
      entries.insert(entries.end(), shard.entries.begin(), shard.entries.end());
    });
    node.children = nullptr;
    node.hashes = std::move(hashes);
    node.entries = std::move(entries);
  }

  template <typename Visit>
  static void VisitShards(const Node& node, Visit&& visit) {
    if (node.children == nullptr) return visit(node);
    for (const auto& child : *node.children) {
      if (child != nullptr) VisitShards(*child, visit);
    }
  }

  template <typename Visit>
  static void VisitNode(const Node& node, Visit& visit) {
    VisitShards(node, [&visit](const Node& shard) {
      for (const Entry& entry : shard.entries) visit(entry.key, entry.value);
    });
  }

  std::shared_ptr<Node> root_;
};

}  // namespace heddle::agent
