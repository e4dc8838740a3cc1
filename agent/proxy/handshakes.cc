#include "agent/proxy/handshakes.h"

namespace heddle::agent {

HandshakePlace::HandshakePlace(Handshakes& handshakes, const io::IpAddress& source,
                               StopToken parent)
    : handshakes_(handshakes), source_(source), stop_(parent) {
  granted_ = handshakes_.Enter(*this);
}

HandshakePlace::~HandshakePlace() {
  if (granted_ && !displaced_) handshakes_.Leave(*this);
}

bool Handshakes::Enter(HandshakePlace& place) {
  const auto share = by_source_.find(place.source_);
  if (share != by_source_.end() && share->second >= per_source_max_) return false;
  if (under_way_ >= places_max_) {
    HandshakePlace& oldest = oldest_first_.front();
    Leave(oldest);
    oldest.displaced_ = true;
    oldest.stop_.RequestStop();
  }
  ++by_source_[place.source_];
  ++under_way_;
  oldest_first_.PushBack(place);
  return true;
}

void Handshakes::Leave(HandshakePlace& place) {
  place.Unlink();
  --under_way_;
  const auto share = by_source_.find(place.source_);
  if (--share->second == 0) by_source_.erase(share);
}

}  // namespace heddle::agent
