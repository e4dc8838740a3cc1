#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/translate.h"

namespace heddle::controlplane::status {

// What the controller knows, for what it says about it.
struct Knowledge {
  api::ObjectStore objects;
  std::vector<api::Problem> problems;
  std::vector<api::ObjectStatus> statuses;  // As of the last translation.
  translate::CapturedPods captured;
};

// What became of a policy.
struct PolicyVerdict {
  bool accepted = true;
  std::string_view reason;  // "Accepted", "Invalid", "NoEffect".
  std::string message;
  bool binds = true;     // Something of it is in effect.
  size_t workloads = 0;  // Pods of the mesh that it is for.
};

// How a pod stands to the mesh.
struct PodVerdict {
  api::NamespacedName name;
  std::string uid;
  std::string node;
  bool captured = false;  // As its node reports.
};

struct Verdicts {
  std::map<api::ObjectKey, PolicyVerdict> policies;
  // Enrolled pods that live and have an address, in the order of names. Those without are being
  // started.
  std::vector<PodVerdict> pods;
};

// Pure; O(pods + policies): pods are found by one label of a selector.
Verdicts Judge(const Knowledge& knowledge, const translate::MeshOptions& options);

}  // namespace heddle::controlplane::status
