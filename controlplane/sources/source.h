#pragma once

#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/base/wait_queue.h"

namespace heddle::controlplane::sources {

// Where the mesh's objects come from. What was once given stays in effect until the source says
// otherwise: one that cannot be reached or read is a problem and changes nothing. Belongs to one
// loop.
class Source {
 public:
  virtual ~Source() = default;

  // Follows the source until stopped, and sets `changed` whenever Poll() or problems() may give
  // something new. Once.
  virtual Task<void> Run(Event& changed, StopToken stop) = 0;

  // What changed since the last call. Nothing before synced(): the first diff that is not empty is
  // the whole mesh.
  virtual api::StoreDiff Poll() = 0;
  // Everything there is has been read once, so that what Poll() gives can be served.
  virtual bool synced() const = 0;
  // What is not in effect as written, as of the last Poll().
  virtual const std::vector<api::Problem>& problems() const = 0;
};

}  // namespace heddle::controlplane::sources
