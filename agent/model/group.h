#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "agent/model/persistent_map.h"

namespace heddle::agent {

// The members that an index holds under one key: immutable once published, like a shard.
template <typename Member>
struct Group {
  EditId edit = 0;
  std::vector<Member> members;
};

template <typename Key, typename Member>
using GroupMap = PersistentMap<Key, std::shared_ptr<Group<Member>>>;

// The group that this batch may change. Copied once per batch, however many of its members change.
template <typename Key, typename Member>
Group<Member>& MutableGroup(GroupMap<Key, Member>& map, EditId edit, const Key& key) {
  std::shared_ptr<Group<Member>>& slot = map.Mutable(edit, key);
  if (slot == nullptr) {
    slot = std::make_shared<Group<Member>>();
  } else if (slot->edit != edit) {
    slot = std::make_shared<Group<Member>>(*slot);
  }
  slot->edit = edit;
  return *slot;
}

template <typename Key, typename Member>
void AddMember(GroupMap<Key, Member>& map, EditId edit, const Key& key, Member member) {
  MutableGroup(map, edit, key).members.push_back(std::move(member));
}

// A member that is to stand under a key, of which it has a view: something that hashes and compares like the key,
// and that the key can be made of.
template <typename View, typename Member>
struct Grouped {
  View view;
  uint64_t hash = 0;
  Member member;
};

// All of them at once: see PersistentMap::Make. Members of one key keep their order.
template <typename Key, typename View, typename Member>
GroupMap<Key, Member> MakeGroups(EditId edit, std::vector<Grouped<View, Member>> all) {
  using Map = GroupMap<Key, Member>;
  std::vector<std::pair<uint64_t, uint32_t>> order(all.size());  // By hash, then as they came.
  for (uint32_t i = 0; i < all.size(); ++i) order[i] = {all[i].hash, i};
  std::sort(order.begin(), order.end());
  std::vector<typename Map::Entry> entries;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && order[end].first == order[begin].first) ++end;
    const size_t first = entries.size();  // Of this hash: as a rule there will be one.
    for (size_t i = begin; i < end; ++i) {
      auto& [view, hash, member] = all[order[i].second];
      size_t at = first;
      while (at < entries.size() && !(entries[at].key == view)) ++at;
      if (at == entries.size()) {
        entries.push_back({Key(view), std::make_shared<Group<Member>>()});
        entries[at].value->edit = edit;
        entries[at].value->members.reserve(end - begin);
      }
      entries[at].value->members.push_back(std::move(member));
    }
  }
  return Map::Make(edit, std::move(entries));
}

// Removes the members for which `is` holds, and the group when nothing is left.
template <typename Key, typename Member, typename Predicate>
void RemoveMembers(GroupMap<Key, Member>& map, EditId edit, const Key& key, Predicate is) {
  if (map.Find(key) == nullptr) return;
  auto& members = MutableGroup(map, edit, key).members;
  std::erase_if(members, is);
  if (members.empty()) map.Erase(edit, key);
}

// The members, or none. Valid as long as the map's copy.
template <typename Key, typename Member, typename Query>
const std::vector<Member>& FindMembers(const GroupMap<Key, Member>& map, const Query& key) {
  static const std::vector<Member> none;
  const auto* group = map.Find(key);
  return group == nullptr ? none : (*group)->members;
}

}  // namespace heddle::agent
