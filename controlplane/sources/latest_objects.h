#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/api/decode.h"
#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"

namespace heddle::controlplane::sources {

// Which version of each object is in effect, when a server tells of one object after the other.
// Pure. As ObjectClaims for files: a refused object keeps its last good version, and a policy that
// never was good is replaced by its stand-in; but a name belongs to one object, and only what is
// refused is remembered beside what is in effect. Belongs to one thread.
class LatestObjects {
 public:
  // The newest version of the object with this key, good or refused.
  void Set(const api::ObjectKey& key, api::Decoded decoded);
  void Remove(const api::ObjectKey& key);

  // Changes of what is in effect since the last call.
  api::StoreDiff TakeDiff();
  // One for each refused object, in the order of keys. O(refused).
  std::vector<api::Problem> Problems() const;
  size_t size() const { return effective_.size(); }

 private:
  struct Effective {
    api::Object object;
    bool stand_in = false;
  };
  void Put(const api::ObjectKey& key, api::Object object, bool stand_in);

  std::map<api::ObjectKey, Effective> effective_;
  std::map<api::ObjectKey, std::string> refused_;                // Why.
  std::map<api::ObjectKey, std::optional<api::Object>> untold_;  // Empty: gone.
};

}  // namespace heddle::controlplane::sources
