#pragma once

#include <absl/time/time.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::controlplane::api {

using Labels = std::map<std::string, std::string>;

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
