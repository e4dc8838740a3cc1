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
  Member member;
};

// All of them at once, from their places as SortByHash() leaves them; `at` gives each by its index, to be moved from.
// Members of one key keep the order of their indexes.
template <typename Key, typename Member, typename At>
GroupMap<Key, Member> MakeGroups(EditId edit, const std::vector<HashPlace>& order, const At& at) {
  using Map = GroupMap<Key, Member>;
  std::vector<typename Map::Entry> entries;
  std::vector<HashPlace> places;  // Of the entries.
  entries.reserve(order.size());
  places.reserve(order.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && order[end].digits == order[begin].digits) ++end;
    const size_t first = entries.size();  // Of this hash: as a rule there will be one.
    for (size_t i = begin; i < end; ++i) {
      auto& [view, member] = at(order[i].index);
      size_t found = first;
      while (found < entries.size() && !(entries[found].key == view)) ++found;
      if (found == entries.size()) {
        places.push_back({order[i].digits, found});
        entries.push_back({Key(view), std::make_shared<Group<Member>>()});
        entries[found].value->edit = edit;
        entries[found].value->members.reserve(end - begin);
      }
      entries[found].value->members.push_back(std::move(member));
    }
  }
  return Map::MakeSorted(edit, std::move(places), [&entries](uint64_t index) -> auto& { return entries[index]; });
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
