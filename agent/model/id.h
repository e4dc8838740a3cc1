#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/shared_string.h"

namespace heddle::agent {

// A string that names one kind of thing, so that one kind of name is never passed for another. Copies share it.
template <typename Kind>
class Id {
 public:
  Id() = default;
  explicit Id(SharedString value) : value_(std::move(value)) {}
  explicit Id(std::string value) : value_(std::move(value)) {}
  explicit Id(std::string_view value) : value_(value) {}
  explicit Id(const char* value) : value_(std::string_view(value)) {}

  const std::string& ToString() const { return value_.ToString(); }
  bool empty() const { return value_.empty(); }

  auto operator<=>(const Id&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const Id& id) {
    return H::combine(std::move(state), id.value_);
  }

 private:
  SharedString value_;
};

// An id that somebody else holds; hashes and compares like it.
template <typename Id>
struct IdView {
  const Id& id;
  explicit operator Id() const { return id; }
  friend bool operator==(const Id& a, const IdView& b) { return a == b.id; }
  template <typename H>
  friend H AbslHashValue(H state, const IdView& view) {
    return H::combine(std::move(state), view.id);
  }
};

using WorkloadUid = Id<struct WorkloadUidKind>;  // "Kubernetes//Pod/default/web-1" (ambient-wire.md section 3.3).
using ServiceName = Id<struct ServiceNameKind>;  // "default/web.default.svc.cluster.local".
using PolicyName = Id<struct PolicyNameKind>;    // "default/allow-web".
using PodUid = Id<struct PodUidKind>;            // A Kubernetes pod UID.

}  // namespace heddle::agent
