#include "lib/base/stop.h"

namespace heddle {

void StopCallback::Subscribe(StopToken token) {
  if (token.source_ == nullptr || token.source_->requested()) return;
  token.source_->callbacks_.PushBack(*this);
}

LinkedStopSource::LinkedStopSource(StopToken parent) {
  if (parent.requested()) {
    RequestStop(parent.reason());
  } else {
    Subscribe(parent);
  }
}

void StopSource::RequestStop(StopReason reason) {
  CHECK(reason != StopReason::kNone);
  if (requested()) return;
  reason_ = reason;
  while (!callbacks_.empty()) callbacks_.PopFront().OnStop(reason);
}

}  // namespace heddle
