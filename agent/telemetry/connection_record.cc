#include "agent/telemetry/connection_record.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/telemetry/worker_telemetry.h"
#include "lib/base/strings.h"

namespace heddle::agent {

ConnectionRecord::ConnectionRecord(WorkerTelemetry& telemetry, Direction direction,
                                   const io::SocketAddress& source)
    : direction(direction), telemetry_(telemetry), born_(telemetry.clock().Monotonic()) {
  this->source.address = source;
  telemetry_.open_.Add(1);
}

ConnectionRecord::~ConnectionRecord() {
  if (!completed_ && !failure_) failure_ = Failure{FailureReason::kDrained};
  telemetry_.open_.Add(-1);
  telemetry_.Close(*this);
}

void ConnectionRecord::Open() {
  if (std::exchange(opened_, true)) return;
  telemetry_.Open(*this);
}

void ConnectionRecord::Complete() { completed_ = true; }

void ConnectionRecord::Fail(Failure failure, std::string detail) {
  if (failure_) return;
  failure_ = failure;
  if (!detail.empty()) detail_ = std::make_unique<const std::string>(std::move(detail));
}

std::string_view ConnectionRecord::response_flags() const {
  return failure_ ? failure_->text().flag : "-";
}

std::string ConnectionRecord::error() const {
  if (!failure_) return {};
  const std::string_view sentence = failure_->text().sentence;
  return detail_ ? absl::StrCat(ToAbsl(sentence), ": ", *detail_) : std::string(sentence);
}

absl::Duration ConnectionRecord::age() const { return telemetry_.clock().Monotonic() - born_; }

}  // namespace heddle::agent
