#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

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
  // Their pods are never captured, nor are those of own_namespace: what a node needs to come up. The
  // agents' --exempt-namespaces, which lets the same pods start while the agent is away.
  std::set<std::string, std::less<>> exempt_namespaces = {"kube-system"};

  bool Exempts(std::string_view name) const {
    return name == own_namespace || exempt_namespaces.contains(name);
  }
};

}  // namespace heddle::controlplane::translate
