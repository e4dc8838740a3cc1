#pragma once

#include <map>
#include <string>

#include "controlplane/mesh.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"

namespace heddle::controlplane {

// Keeps the progress of a removal in the ConfigMap that asks for it, where people and the uninstall see
// it, and other controllers read it. Changed keys alone are written, by merge patches, once a second at
// most: several controllers write, each what it knows. One loop's.
class RemovalWriter {
 public:
  // All outlive it.
  RemovalWriter(io::Loop& loop, const Mesh& mesh, kube::ApiClient& client,
                std::string own_namespace);

  // Until stopped.
  Task<void> Run(StopToken stop);

 private:
  // What differs from the ConfigMap as it was seen last.
  std::map<std::string, std::string> Changes() const;
  Task<absl::Status> Write(std::map<std::string, std::string> changes, StopToken stop);

  io::Loop& loop_;
  const Mesh& mesh_;
  kube::ApiClient& client_;
  const std::string own_namespace_;
};

}  // namespace heddle::controlplane
