#pragma once

#include <cstdint>

#include "lib/base/intrusive_list.h"

namespace heddle {

enum class StopReason : uint8_t { kNone, kStopped, kDeadline };

class StopSource;

// Asks work to stop. Cheap to copy; the default token never stops. Every wait takes one. Its source outlives it.
// One loop's only.
class StopToken {
 public:
  StopToken() = default;
  bool requested() const;
  StopReason reason() const;

 private:
  friend class StopSource;
  friend class StopCallback;
  explicit StopToken(StopSource* source) : source_(source) {}
  StopSource* source_ = nullptr;
};

// Something to be told of a stop request, once. Leaves when it is destroyed.
// OnStop may not resume a coroutine: it cancels an operation or puts the waiter on the ready queue.
class StopCallback : public ListNode {
 public:
  virtual void OnStop(StopReason reason) noexcept = 0;
  // Subscribes; when the stop was requested already, does nothing: check token.requested() first.
  void Subscribe(StopToken token);

 protected:
  ~StopCallback() = default;
};

// The owner's side of a stop token.
class StopSource {
 public:
  StopSource() = default;
  StopSource(const StopSource&) = delete;
  StopSource& operator=(const StopSource&) = delete;

  StopToken token() { return StopToken(this); }
  bool requested() const { return reason_ != StopReason::kNone; }
  StopReason reason() const { return reason_; }

  // The first request counts, later ones do nothing.
  void RequestStop(StopReason reason = StopReason::kStopped);

 private:
  friend class StopCallback;
  IntrusiveList<StopCallback> callbacks_;
  StopReason reason_ = StopReason::kNone;
};

// One with a parent, whose request is also this one's.
class LinkedStopSource final : public StopSource, private StopCallback {
 public:
  explicit LinkedStopSource(StopToken parent);

 private:
  void OnStop(StopReason reason) noexcept override { RequestStop(reason); }
};

inline bool StopToken::requested() const { return source_ != nullptr && source_->requested(); }
inline StopReason StopToken::reason() const {
  return source_ == nullptr ? StopReason::kNone : source_->reason();
}

}  // namespace heddle
