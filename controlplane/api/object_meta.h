#pragma once

#include <absl/time/time.h>

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/interned.h"

namespace heddle::controlplane::api {

// Names and their values. Pods of one owner have the same, so equal ones are held once.
class Labels {
 public:
  using Map = std::map<std::string, std::string>;
  Labels() = default;
  Labels(Map map) : map_(std::move(map)) {}
  Labels(std::initializer_list<Map::value_type> entries) : map_(Map(entries)) {}

  Map::const_iterator begin() const { return map_->begin(); }
  Map::const_iterator end() const { return map_->end(); }
  Map::const_iterator find(const std::string& key) const { return map_->find(key); }
  bool empty() const { return map_->empty(); }
  size_t size() const { return map_->size(); }
  const Map& map() const { return *map_; }
  bool operator==(const Labels&) const = default;

 private:
  Interned<Map> map_;
};

struct OwnerReference {
  std::string kind;
  std::string name;
  bool controller = false;
  bool operator==(const OwnerReference&) const = default;
};

struct ObjectMeta {
  std::string name;
  std::string name_space;  // Empty for kinds without one.
  std::string uid;
  Labels labels;
  // Those of istio.io, heddle.io and kuma.io; others can be large and mean nothing here.
  Labels annotations;
  std::optional<absl::Time> created;
  bool deleting = false;
  std::vector<OwnerReference> owners;
  bool operator==(const ObjectMeta&) const = default;

  // The value of a label or annotation, empty when there is none.
  std::string_view Label(std::string_view key) const;
  std::string_view Annotation(std::string_view key) const;
};

struct NamespacedName {
  std::string name_space;
  std::string name;
  auto operator<=>(const NamespacedName&) const = default;
  std::string ToString() const { return name_space.empty() ? name : name_space + "/" + name; }
};

inline NamespacedName NameOf(const ObjectMeta& meta) { return {meta.name_space, meta.name}; }

// Order in which the first object wins where only one may: the older, then by namespace and name.
// An object without a time (a file written by hand) is younger than any with one.
bool OlderThan(const ObjectMeta& a, const ObjectMeta& b);

// True if every label of `selector` is among `labels`; an empty selector selects everything.
bool Selects(const Labels& selector, const Labels& labels);

}  // namespace heddle::controlplane::api
