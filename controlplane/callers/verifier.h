#pragma once

#include <optional>
#include <string>

#include "controlplane/api/object_meta.h"
#include "controlplane/callers/refusal.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"

namespace heddle::controlplane::callers {

// Who has proved to call.
struct Caller {
  std::string node;
  // The agent's pod; empty where there are none.
  api::NamespacedName pod;
  std::string pod_uid;
  bool operator==(const Caller&) const = default;
};

// Says whose token that is: tokens of nodes in files, or the API server about service accounts. One
// loop's.
class Verifier {
 public:
  virtual ~Verifier() = default;
  virtual Task<Admission<Caller>> Verify(std::string token, StopToken stop) = 0;
  // Why a caller who was let in may not go on; nothing when it may. Cheap: asked again and again
  // while a stream is open.
  virtual std::optional<Refusal> Recheck(const Caller& caller) const = 0;
};

}  // namespace heddle::controlplane::callers
