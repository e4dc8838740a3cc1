#pragma once

#include "agent/telemetry/connection_record.h"

namespace heddle::agent {

// Where finished connections are written: the log, or a test. Thread-safe; never waits.
class AccessLog {
 public:
  virtual ~AccessLog() = default;
  virtual void Write(const ConnectionRecord& record) = 0;
};

// One line per connection with the field names of Istio's node proxy (ambient-wire.md section 7.4):
// "connection complete" when it was opened, with level error if it failed, and a warning
// "connection failed" if it never was.
class LineAccessLog final : public AccessLog {
 public:
  void Write(const ConnectionRecord& record) override;
};

}  // namespace heddle::agent
