#include "controlplane/status/election.h"

#include <algorithm>
#include <utility>

namespace heddle::controlplane::status {

Election::Election(std::string identity, ElectionTimes times)
    : identity_(std::move(identity)), times_(times) {}

void Election::Observe(std::optional<Lease> lease, MonotonicTime now) {
  // Any change of the object counts as life. Of what is seen for the first time nobody knows the age.
  if (lease != lease_) {
    changed_at_ = now;
    lease_ = std::move(lease);
  }
  read_ = true;
  if (!IsOurs()) leads_until_ = MonotonicTime();
}

std::optional<Lease> Election::Bid(MonotonicTime now, absl::Time wall) const {
  if (!read_) return std::nullopt;
  Lease bid{.holder = identity_, .duration = times_.lease, .acquired = wall, .renewed = wall};
  if (!lease_.has_value()) return bid;
  bid.resource_version = lease_->resource_version;
  bid.transitions = lease_->transitions;
  if (IsOurs()) {
    bid.acquired = lease_->acquired;
    return bid;
  }
  // A holder that asks for more than we do gets it.
  const absl::Duration respected = std::max(lease_->duration, times_.lease);
  if (!lease_->holder.empty() && now - changed_at_ < respected) return std::nullopt;
  ++bid.transitions;
  return bid;
}

void Election::Won(Lease written, MonotonicTime began) {
  lease_ = std::move(written);
  changed_at_ = began;
  read_ = true;
  leads_until_ = IsOurs() ? began + times_.renew_deadline : MonotonicTime();
}

std::optional<Lease> Election::Release(MonotonicTime now, absl::Time wall) {
  const bool led = leads(now);
  leads_until_ = MonotonicTime();
  if (!led || !read_) return std::nullopt;
  Lease released = *lease_;
  released.holder.clear();
  released.duration = absl::Seconds(1);
  released.acquired = released.renewed = wall;
  return released;
}

}  // namespace heddle::controlplane::status
