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

#include "lib/base/strings.h"

namespace heddle::agent {

// Which batch of changes a node was made in. Nodes of the running batch are changed in place, all others are copied
// first.
using EditId = uint64_t;

// A hash map whose copies share what they have in common. A copy costs one reference count; a change copies one
// shard of about a hundred entries and the path to it, and that once per batch. Copies may be read from any thread
// without locks while another copy is changed, provided that the changing side starts a new, never used EditId
// after each copy that it gives away.
//
//     root -- 16 children by the next 4 bits of the hash -- ... -- shard: entries in order of their hashes
//
// A full shard splits by itself, so that no change ever pays for the whole map (2 ms per turn of a loop, design.md
// section 4).
template <typename Key, typename Value>
class PersistentMap {
 public:
  size_t size() const { return root_ == nullptr ? 0 : root_->count; }
  bool empty() const { return size() == 0; }

  // nullptr if there is none. Any type that hashes and compares like Key.
  template <typename Query>
  const Value* Find(const Query& key) const {
    const uint64_t hash = Hash(key);
    const Node* node = root_.get();
    for (int shift = 0; node != nullptr && node->children != nullptr; shift += kBits) {
      node = (*node->children)[Slot(hash, shift)].get();
    }
    if (node == nullptr) return nullptr;
    for (auto it = LowerBound(node->entries, hash); it != node->entries.end() && it->hash == hash; ++it) {
      if (it->key == key) return &it->value;
    }
    return nullptr;
  }

  // The value of the key, made if there is none, to be changed before the batch ends. The reference ends with the
  // next change.
  Value& Mutable(EditId edit, const Key& key) {
    const uint64_t hash = Hash(key);
    const bool added = Find(key) == nullptr;
    std::shared_ptr<Node>* slot = &root_;
    int shift = 0;
    for (;; shift += kBits) {
      Node& node = Own(edit, *slot);
      if (added) ++node.count;
      if (node.children == nullptr && node.entries.size() >= kShardEntriesMax && added && shift < kShiftMax) {
        Split(edit, node, shift);
      }
      if (node.children == nullptr) break;
      slot = &(*node.children)[Slot(hash, shift)];
    }
    auto& entries = (*slot)->entries;
    auto it = LowerBound(entries, hash);
    while (it != entries.end() && it->hash == hash && !(it->key == key)) ++it;
    if (added) it = entries.insert(it, Entry{hash, key, Value()});
    return it->value;
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
  static constexpr int kBits = 4;
  static constexpr size_t kFanOut = 1 << kBits;
  static constexpr int kShiftMax = 64 - kBits;  // Below it a shard of equal hashes just grows.
  static constexpr size_t kShardEntriesMax = 128;
  static constexpr size_t kMergeEntriesMax = kShardEntriesMax / 2;  // Well below the split, so that no key flips it.

  struct Entry {
    uint64_t hash;
    Key key;
    Value value;
  };
  struct Node;
  using Children = std::array<std::shared_ptr<Node>, kFanOut>;
  struct Node {
    EditId edit = 0;
    size_t count = 0;                    // Entries at and below.
    std::vector<Entry> entries;          // Of a shard.
    std::unique_ptr<Children> children;  // Of an inner node.
  };

  // Debian's abseil hashes std::string_view other than std::string, so all text goes through its own string_view.
  template <typename Query>
  static uint64_t Hash(const Query& key) {
    if constexpr (std::convertible_to<const Query&, std::string_view>) {
      return absl::Hash<absl::string_view>{}(ToAbsl(key));
    } else {
      return absl::Hash<Query>{}(key);
    }
  }

  static size_t Slot(uint64_t hash, int shift) { return (hash >> shift) & (kFanOut - 1); }

  template <typename Entries>
  static auto LowerBound(Entries& entries, uint64_t hash) {
    return std::lower_bound(entries.begin(), entries.end(), hash,
                            [](const Entry& entry, uint64_t wanted) { return entry.hash < wanted; });
  }

  // Makes the node behind the slot one that this batch may change.
  static Node& Own(EditId edit, std::shared_ptr<Node>& slot) {
    if (slot == nullptr) {
      slot = std::make_shared<Node>();
    } else if (slot->edit != edit) {
      auto copy = std::make_shared<Node>();
      copy->count = slot->count;
      copy->entries = slot->entries;
      if (slot->children != nullptr) copy->children = std::make_unique<Children>(*slot->children);
      slot = std::move(copy);
    }
    slot->edit = edit;
    return *slot;
  }

  static void Split(EditId edit, Node& node, int shift) {
    node.children = std::make_unique<Children>();
    for (Entry& entry : node.entries) {
      Node& child = Own(edit, (*node.children)[Slot(entry.hash, shift)]);
      child.entries.push_back(std::move(entry));  // Stays in order of hashes.
      ++child.count;
    }
    node.entries = {};
  }

  static void EraseFrom(EditId edit, std::shared_ptr<Node>& slot, uint64_t hash, const Key& key, int shift) {
    Node& node = Own(edit, slot);
    if (--node.count == 0) {
      slot = nullptr;
      return;
    }
    if (node.children == nullptr) {
      std::erase_if(node.entries, [&](const Entry& entry) { return entry.hash == hash && entry.key == key; });
      return;
    }
    EraseFrom(edit, (*node.children)[Slot(hash, shift)], hash, key, shift + kBits);
    if (node.count <= kMergeEntriesMax) Merge(node);
  }

  static void Merge(Node& node) {
    std::vector<Entry> entries;
    entries.reserve(node.count);
    VisitEntries(node, [&entries](const Entry& entry) { entries.push_back(entry); });
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.hash < b.hash; });
    node.children = nullptr;
    node.entries = std::move(entries);
  }

  template <typename Visit>
  static void VisitEntries(const Node& node, Visit&& visit) {
    for (const Entry& entry : node.entries) visit(entry);
    if (node.children == nullptr) return;
    for (const auto& child : *node.children) {
      if (child != nullptr) VisitEntries(*child, visit);
    }
  }

  template <typename Visit>
  static void VisitNode(const Node& node, Visit& visit) {
    VisitEntries(node, [&visit](const Entry& entry) { visit(entry.key, entry.value); });
  }

  std::shared_ptr<Node> root_;
};

}  // namespace heddle::agent
