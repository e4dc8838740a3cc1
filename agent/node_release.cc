#include "agent/node_release.h"

#include <absl/strings/str_cat.h>

#include "lib/base/log.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

constexpr absl::Duration kStepInterval = absl::Seconds(1);
constexpr absl::Duration kRecheckInterval = absl::Seconds(10);
// Every node has acknowledged that all pods are plain; what was dialled just before may be on its way.
constexpr absl::Duration kLastHbone = absl::Seconds(2);

}  // namespace

void NodeRelease::Order(const RemovalOrder& order) {
  if (order == order_) return;
  order_ = order;
  ordered_.Set();
}

Task<void> NodeRelease::Run(StopToken stop) {
  while (!stop.requested()) {
    const bool under_way = leaving_ && !gone_;
    Deadline next(parts_.loop, stop, under_way ? kStepInterval : kRecheckInterval);
    co_await ordered_.Wait(next.token());
    ordered_.Reset();
    if (!stop.requested()) co_await Step();
  }
}

Task<void> NodeRelease::Step() {
  if (!order_.has_value()) co_return;
  if (!order_->leave) co_return ComeBack();
  if (!leaving_) LOG_WARN("node.leaving", KV("drain", absl::FormatDuration(order_->drain)));
  leaving_ = true;
  const absl::Status left = co_await Leave();
  gone_ = left.ok();
  std::string note(left.message());
  if (note != told_) {
    told_ = note;
    if (gone_) LOG_INFO("node.gone", KV("what", "no pod is captured, no program is attached"));
    if (!gone_) LOG_INFO("node.leaving", KV("waits", left));
  }
  parts_.report({.gone = gone_, .note = std::move(note)});
}

// The status says what is still there.
Task<absl::Status> NodeRelease::Leave() {
  if (parts_.installer != nullptr) {
    CO_TRY_STATUS(Annotate(co_await parts_.installer->LeaveChain(), "the CNI chain"));
  }
  parts_.pods.LeaveAll({.announce = kLastHbone, .drain_max = order_->drain});
  if (const size_t pods = parts_.pods.Remaining(); pods > 0) {
    parts_.look();
    co_return absl::UnavailableError(absl::StrCat(pods, pods == 1 ? " pod leaves" : " pods leave",
                                                  ", connections may go on for ",
                                                  absl::FormatDuration(order_->drain)));
  }
  if (parts_.installer != nullptr) {
    CO_TRY_STATUS(Annotate(co_await parts_.installer->PlaceStub(), "the CNI plugin's stub"));
  }
  // An ADD that began before is through: since LeaveAll() none captures.
  kernel_released_ = true;
  co_return parts_.bpf.Release();
}

void NodeRelease::ComeBack() {
  parts_.report({});
  // An agent before this one may have left.
  if (!leaving_ && parts_.installer != nullptr) parts_.installer->Return();
  if (!leaving_ || starts_over_) return;
  LOG_WARN("node.stays", KV("why", "the controller takes the removal back"));
  if (kernel_released_) {
    starts_over_ = true;
    return parts_.start_over();
  }
  leaving_ = gone_ = false;
  told_.clear();
  parts_.pods.StayAll();
  if (parts_.installer != nullptr) parts_.installer->Return();
  parts_.look();
}

}  // namespace heddle::agent
