#include "controlplane/cluster.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/status.h"
#include "lib/base/version.h"
#include "lib/kube/connector.h"

namespace heddle::controlplane {

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Open(io::Loop& loop,
                                                       const std::string& kubeconfig) {
  TRY_ASSIGN(kube::ClusterAccess access,
             kubeconfig.empty() ? kube::InClusterAccess(kube::InClusterPlaces::FromEnvironment())
                                : kube::ReadKubeConfig(kubeconfig));
  return std::unique_ptr<Cluster>(new Cluster(loop, std::move(access)));
}

Cluster::Cluster(io::Loop& loop, kube::ClusterAccess access)
    : access_(std::move(access)),
      name_space_(access_.name_space.empty() ? "heddle-system" : access_.name_space),
      client_(loop, kube::MakeConnector(loop, network_, loop.clock(), access_),
              kube::BearerToken(access_.token),
              kube::ClientOptions(access_, absl::StrCat("heddle-controller/", kVersion))) {}

}  // namespace heddle::controlplane
