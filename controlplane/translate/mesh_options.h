#pragma once

#include <set>
#include <string>

namespace heddle::controlplane::translate {

// What of the mesh is not in any object.
struct MeshOptions {
  std::string trust_domain = "cluster.local";
  // Policies in it reach the whole mesh.
  std::string root_namespace = "istio-system";
  std::string cluster_id = "Kubernetes";
  // Suffix of service host names.
  std::string cluster_domain = "cluster.local";
  // Where Heddle itself runs: what says that the mesh is to leave is believed only there.
  std::string own_namespace = "heddle-system";
  // Pods in these are never captured: what a node needs to come up, and Heddle itself.
  std::set<std::string> excluded_namespaces = {"heddle-system", "kube-system"};
};

}  // namespace heddle::controlplane::translate
