#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "lib/base/random.h"
#include "lib/io/loop.h"
#include "lib/io/socket.h"
#include "lib/kube/api_client.h"
#include "lib/kube/cluster_access.h"

namespace heddle::controlplane {

// The cluster that the controller works for: its way to the API server. One loop's. Shut the client
// down before destroying it.
class Cluster {
 public:
  // With the kubeconfig, or as the pod that it runs in when that is empty. Nothing is dialled yet:
  // what fails is what is wrong on this machine.
  static absl::StatusOr<std::unique_ptr<Cluster>> Open(io::Loop& loop,
                                                       const std::string& kubeconfig);

  kube::ApiClient& client() { return client_; }
  Random& random() { return random_; }
  const kube::ClusterAccess& access() const { return access_; }
  // Ours: the pod's, or that of the kubeconfig's context, or heddle-system.
  const std::string& name_space() const { return name_space_; }

 private:
  Cluster(io::Loop& loop, kube::ClusterAccess access);

  const kube::ClusterAccess access_;
  const std::string name_space_;
  io::KernelNetwork network_;
  SystemRandom random_;
  kube::ApiClient client_;
};

}  // namespace heddle::controlplane
