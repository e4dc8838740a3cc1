#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace heddle::agent {

// Where a node's container runtime has its CNI configuration and its plugins.
struct CniPaths {
  std::string conf_dir;
  std::string bin_dir;
  bool operator==(const CniPaths&) const = default;
};

// By the name of a platform: default, eks, gke, k3d, k3s, microk8s, minikube. NOT_FOUND with the
// names for one that is not known, UNIMPLEMENTED with what to do for one where a chain entry is not
// how it goes.
absl::StatusOr<CniPaths> CniPathsOf(std::string_view platform);

}  // namespace heddle::agent
