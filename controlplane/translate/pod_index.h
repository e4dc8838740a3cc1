#pragma once

#include <absl/container/btree_set.h>

#include <string_view>
#include <vector>

#include "controlplane/api/object_store.h"

namespace heddle::controlplane::translate {

// The pods of a store by what else leads to them. Holds pointers: what is added is taken out again
// before it goes. One thread's.
class PodIndex {
 public:
  void Add(const api::Pod& pod);
  void Remove(const api::Pod& pod);

  std::vector<const api::Pod*> OnNode(std::string_view node) const;
  // Those that are not terminal. More than one: see PodSurroundings.
  std::vector<const api::Pod*> WithUid(std::string_view uid) const;
  bool SharesUid(const api::Pod& pod) const;

 private:
  struct ByNode {
    using is_transparent = void;
    bool operator()(const api::Pod* a, const api::Pod* b) const;
    bool operator()(const api::Pod* a, std::string_view node) const { return a->node_name < node; }
    bool operator()(std::string_view node, const api::Pod* b) const { return node < b->node_name; }
  };
  struct ByUid {
    using is_transparent = void;
    bool operator()(const api::Pod* a, const api::Pod* b) const;
    bool operator()(const api::Pod* a, std::string_view uid) const { return a->meta.uid < uid; }
    bool operator()(std::string_view uid, const api::Pod* b) const { return uid < b->meta.uid; }
  };

  absl::btree_set<const api::Pod*, ByNode> by_node_;  // Those that are bound.
  absl::btree_set<const api::Pod*, ByUid> by_uid_;    // Those that have one, and are not terminal.
};

}  // namespace heddle::controlplane::translate
