#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>

#include "controlplane/status/lease.h"
#include "lib/base/clock.h"

namespace heddle::controlplane::status {

struct ElectionTimes {
  absl::Duration lease = absl::Seconds(15);           // Without renewal another may take it.
  absl::Duration renew_deadline = absl::Seconds(10);  // Without renewal we lead no more.
  absl::Duration retry = absl::Seconds(2);            // Between two tries, and two renewals.
};

// Who leads, by a Lease: what was read of it in, what to write out. Pure; the rules are client-go's,
// whose controllers can share the Lease.
//
//   - Nobody's clock is compared with ours: a holder counts as long as the Lease has changed within
//     its duration by our own monotonic time.
//   - We lead from a write that worked until renew_deadline after that write *began*, which is well
//     before anybody else may take the Lease. A process that was stopped for longer leads no more
//     when it goes on, before it has run anything.
//   - A Lease that was given up has no holder, and anybody may take it at once.
class Election {
 public:
  explicit Election(std::string identity, ElectionTimes times = {});

  // What the Lease is now; nothing: there is none.
  void Observe(std::optional<Lease> lease, MonotonicTime now);
  // What to write to get or keep it; nothing: it is another's, or it has not been read.
  std::optional<Lease> Bid(MonotonicTime now, absl::Time wall) const;
  // A bid was written. `began` is when it was sent.
  void Won(Lease written, MonotonicTime began);
  // A bid was refused, since the Lease has changed: it must be read before the next.
  void Refused() { read_ = false; }
  // What to write to let the next one take it at once; nothing when it is not ours.
  std::optional<Lease> Release(MonotonicTime now, absl::Time wall);

  bool leads(MonotonicTime now) const { return now < leads_until_; }
  // It must be read before a bid can be made of it.
  bool must_read() const { return !read_ || !IsOurs(); }
  // Empty: nobody, as far as is known.
  std::string holder() const { return lease_.has_value() ? lease_->holder : ""; }
  const std::string& identity() const { return identity_; }
  const ElectionTimes& times() const { return times_; }

 private:
  bool IsOurs() const { return lease_.has_value() && lease_->holder == identity_; }

  const std::string identity_;
  const ElectionTimes times_;
  bool read_ = false;
  std::optional<Lease> lease_;  // As of the last read or write.
  MonotonicTime changed_at_;    // When lease_ was first seen as it is.
  MonotonicTime leads_until_;
};

}  // namespace heddle::controlplane::status
