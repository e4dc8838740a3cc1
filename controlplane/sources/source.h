#pragma once

#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/base/wait_queue.h"
#include "lib/kube/object.h"

namespace heddle::controlplane::sources {

// Told of the objects of an API server as they came: for those who say there what became of them.
class RawObserver {
 public:
  virtual ~RawObserver() = default;
  // A new object or version of one, and the path of its collection in the version that was read.
  virtual void OnRaw(const api::ObjectKey& key, const std::string& collection,
                     const kube::RawObject& object) = 0;
  virtual void OnRawGone(const api::ObjectKey& key) = 0;
};

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

  // Before Run(). Policies and pods; a directory has nobody to tell anything.
  virtual void Observe(RawObserver&) {}
};

}  // namespace heddle::controlplane::sources
