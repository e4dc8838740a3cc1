#pragma once

#include <absl/container/btree_map.h>

#include <cstddef>
#include <cstdint>

namespace heddle::agent {

class ServedConnection;

// The connections of one worker, in order of their arrival, so that a walk in slices misses none
// that was there when it began. One loop's only.
class ConnectionTable {
 public:
  // Visits at most `count` connections that arrived after the one with id `after` (0: from the
  // start). Returns the id of the last one, to go on with, or 0 when the end was reached.
  template <typename Visit>
  uint64_t VisitAfter(uint64_t after, size_t count, Visit visit) {
    for (auto it = connections_.upper_bound(after); it != connections_.end(); ++it) {
      if (count-- == 0) return after;
      after = it->first;
      visit(*it->second);
    }
    return 0;
  }
  size_t size() const { return connections_.size(); }

 private:
  friend class ServedConnection;
  // Returns its id.
  uint64_t Add(ServedConnection& connection) {
    connections_.emplace(next_id_, &connection);
    return next_id_++;
  }
  void Remove(uint64_t id) { connections_.erase(id); }

  absl::btree_map<uint64_t, ServedConnection*> connections_;
  uint64_t next_id_ = 1;
};

}  // namespace heddle::agent
