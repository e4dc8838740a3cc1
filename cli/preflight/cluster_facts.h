#pragma once

#include <string>

#include "cli/cluster/fields.h"

// What is in a cluster, as far as checks ask; read_cluster.h fills it in.
namespace heddle::cli {

struct ClusterFacts {
  std::string root_namespace;  // Whose PeerAuthentications hold for the whole mesh.
  Objects namespaces;
  Objects pods;
  Objects services;
  Objects daemon_sets;
  Objects deployments;
  Objects network_policies;
  Objects mutating_webhooks;    // The configurations.
  Objects validating_webhooks;  // The configurations.
  Objects custom_kinds;         // CustomResourceDefinitions.
  Objects api_services;
  Objects peer_authentications;
  nlohmann::json removal;  // The ConfigMap that asks the mesh to leave; null when nobody does.
};

// The namespace's object, or null.
const nlohmann::json& FindNamespace(const ClusterFacts& facts, const std::string& name);
// Whether a pod is in the mesh, or will be once Heddle is installed: its own label goes before its
// namespace's; those with the node's network or another mesh's sidecar never are.
bool IsEnrolled(const ClusterFacts& facts, const nlohmann::json& pod);
// It runs or will run.
bool IsAlive(const nlohmann::json& pod);

}  // namespace heddle::cli
