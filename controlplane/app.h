#pragma once

#include <absl/status/statusor.h>

#include <memory>

#include "controlplane/config.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"

namespace heddle::controlplane {

// The controller as a whole: builds every part once, passes each what it needs, and ends them in
// order.
//
//   YAML or cluster ----> mesh --> xDS (delta) ----------+
//   capture reports ------^  |                           +-- gRPC over TLS, bearer tokens -- agents
//   roots: directory --> CA -+--> who may have what -----+
//          or Secret
//
// All of it runs on one loop.
class App {
 public:
  // Everything that can fail for reasons of this machine: directories, keys, ports. The status says
  // what to do. A directory has been read when it returns, a cluster has not been dialled. `loop`
  // outlives the app.
  static absl::StatusOr<std::unique_ptr<App>> Create(io::Loop& loop, Config config);
  ~App();

  // Serves until stopped, agents from when everything has been read once; nothing is left when it
  // returns. Once.
  Task<void> Run(StopToken stop);

  // Where it listens, when the configuration says port 0.
  io::SocketAddress address() const;
  io::SocketAddress debug_address() const;

 private:
  struct Parts;
  explicit App(std::unique_ptr<Parts> parts);
  Task<void> ServeWhenReady(StopToken stop);
  std::unique_ptr<Parts> parts_;
};

}  // namespace heddle::controlplane
