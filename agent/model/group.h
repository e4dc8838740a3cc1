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
