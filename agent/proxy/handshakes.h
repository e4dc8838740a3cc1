#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>

#include "lib/base/intrusive_list.h"
#include "lib/base/stop.h"
#include "lib/io/address.h"

namespace heddle::agent {

class Handshakes;

// One handshake under way. In its worker's list from construction to destruction, unless it was
// refused.
class HandshakePlace : public ListNode {
 public:
  // Ends with `parent` too.
  HandshakePlace(Handshakes& handshakes, const io::IpAddress& source, StopToken parent);
  ~HandshakePlace();

  // False: its source has as many under way as it may; it must not begin.
  bool granted() const { return granted_; }
  // True: a newer one needed its place; stop() was requested.
  bool displaced() const { return displaced_; }
  StopToken stop() { return stop_.token(); }

 private:
  friend class Handshakes;
  Handshakes& handshakes_;
  const io::IpAddress source_;
  LinkedStopSource stop_;
  bool granted_ = false;
  bool displaced_ = false;
};

// The TLS handshakes that one worker does for peers, bounded so that silent peers keep nobody out:
// one source address has a share of all places, and when every place is taken, the oldest handshake
// makes room for the new one. A healthy one needs two round trips, so it is hardly ever the oldest.
// One loop's only; outlives its places.
class Handshakes {
 public:
  Handshakes(size_t places_max, size_t per_source_max)
      : places_max_(places_max), per_source_max_(per_source_max) {}
  ~Handshakes() { CHECK(under_way_ == 0 && by_source_.empty()); }

  size_t under_way() const { return under_way_; }

 private:
  friend class HandshakePlace;
  bool Enter(HandshakePlace& place);
  void Leave(HandshakePlace& place);

  const size_t places_max_;
  const size_t per_source_max_;
  size_t under_way_ = 0;  // Without the displaced ones, which end with the next step.
  absl::flat_hash_map<io::IpAddress, size_t> by_source_;
  IntrusiveList<HandshakePlace> oldest_first_;
};

}  // namespace heddle::agent
