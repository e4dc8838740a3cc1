#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "agent/model/state.h"

namespace heddle::agent {

// What the CNI plugin may decide by itself while the agent is away (lib/cni/enrollment.h), from the
// pods of this node: a namespace all of whose pods here are enrolled, none of them, or some. Others
// are unknown, and then no pod starts. Written to a temporary file and renamed; nothing is written
// when nothing changed.
class EnrollmentFile {
 public:
  EnrollmentFile(std::string path, std::vector<std::string> exempt_namespaces)
      : path_(std::move(path)), exempt_namespaces_(std::move(exempt_namespaces)) {}
  absl::Status Update(const State& state);

 private:
  const std::string path_;
  const std::vector<std::string> exempt_namespaces_;
  std::string written_;
};

}  // namespace heddle::agent
