#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "agent/mixed_namespaces.h"
#include "agent/model/state.h"
#include "lib/base/clock.h"
#include "lib/cni/enrollment.h"

namespace heddle::agent {

// What a namespace's pods on this node allow the CNI plugin to decide alone: what the namespace says
// of itself, unless a pod's own label differs or did within a day. Notes such pods in `mixed`.
// Namespaces of which nothing is known, because they have no pod here, are not in it.
cni::Enrollment CollectEnrollment(const State& state, MixedNamespaces& mixed, absl::Time now);

// enroll.json (lib/cni/enrollment.h) in the agent's run directory, and beside it, in the state
// directory, which namespaces were mixed lately. Both are written to a temporary file and renamed,
// and only when something changed. Control loop.
class EnrollmentFile {
 public:
  struct Options {
    std::string path;
    std::string mixed_path;
    std::vector<std::string> exempt_namespaces;
  };
  // Reads what was remembered; blocks. What cannot be read leaves every namespace mixed for a day.
  EnrollmentFile(const Clock& clock, Options options);

  // There is a new state, or some time has passed.
  absl::Status Update(const State& state);

 private:
  const Clock& clock_;
  const Options options_;
  MixedNamespaces mixed_;
  std::string mixed_written_;
  std::string written_;
};

}  // namespace heddle::agent
