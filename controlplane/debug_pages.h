#pragma once

#include <absl/functional/any_invocable.h>

#include <string>

#include "controlplane/discovery_service.h"
#include "controlplane/mesh.h"
#include "lib/base/task.h"
#include "lib/http/http1_message.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// The debug port (15014), read-only:
//
//   /healthz/ready   200 once everything is served
//   /metrics         OpenMetrics
//   /debug/nodes     which nodes are connected, and which of their pods are captured, and how
//   /debug/objects   what became of each policy, and what is not in effect and why
//   /debug/resources what is published: name and version of each resource; equal versions, equal
//                    resources
//   /debug/leader    which controller writes status, and what keeps this one from reading or writing
//   /config_dump     the effective configuration
//
// Everything is made anew for each request. One loop's.
class DebugPages {
 public:
  struct Sources {
    Mesh& mesh;
    const DiscoveryService& discovery;
    metrics::Registry& registry;
    std::string config_json;
    absl::AnyInvocable<std::string() const> leader;  // JSON; empty: there is no cluster.
    // Why it is not ready, a sentence; empty when there is none to give.
    absl::AnyInvocable<std::string() const> trouble;
  };
  explicit DebugPages(Sources sources) : sources_(std::move(sources)) {}

  Task<http::Http1Response> Answer(http::Http1Request request);
  // From now on /healthz/ready says this.
  void SetReady(bool ready) { ready_ = ready; }

 private:
  http::Http1Response Page(const std::string& path) const;
  std::string Nodes() const;
  std::string Resources() const;

  Sources sources_;
  bool ready_ = false;
};

}  // namespace heddle::controlplane
