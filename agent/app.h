#pragma once

#include <absl/status/statusor.h>

#include <memory>

#include "agent/config.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {

struct AppSignals {
  UniqueFd stop;   // io::BlockStopSignals()
  UniqueFd renew;  // io::BlockHangUp(): every certificate is fetched anew.
};

// The agent as a whole: builds every part once, passes each what it needs, connects them, and ends
// them in order. The capture of pods outlives it: programs and maps stay pinned, and new
// connections meet each pod's fail mode until an agent is back.
//
//   controller --xDS--> state --+--> proxy (snapshot)
//                               +--> pod registry (settings)
//                               +--> certificates (identities)
//   CNI plugin --> pod registry --+--> kernel (maps, links)
//                                 +--> proxy (listeners)
//                                 +--> controller (reports)
//
// Threads: the caller's is the control thread.
class App {
 public:
  // Everything that can fail for reasons of this node: directories, cgroup, BPF, ports. The status
  // says what to do.
  static absl::StatusOr<std::unique_ptr<App>> Create(Config config, AppSignals signals);
  ~App();

  // Serves until SIGTERM or SIGINT, then drains. The exit code: not 0 when it could not serve.
  int Run();
  // After Run(): the mesh, which had left this node, comes back. All that the kernel had of it is gone,
  // so another App is to be made in this process.
  bool starts_over() const;

 private:
  struct Parts;
  explicit App(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace heddle::agent
