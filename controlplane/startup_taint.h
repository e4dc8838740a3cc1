#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>

#include <set>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "lib/base/backoff.h"
#include "lib/base/random.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// The service account by which the agents' pods are known, in the controller's own namespace.
inline constexpr char kAgentAccount[] = "heddle-agent";

// An agent's pod that is ready: it serves, and its entry is in the chain.
struct ReadyAgent {
  std::string uid;
  std::string node;
  std::string
      node_uid;  // A node that was deleted and registers again is another one; empty while it is not known.
  bool operator==(const ReadyAgent&) const = default;
};
std::vector<ReadyAgent> ReadyAgents(const api::ObjectStore& objects, const std::string& name_space);

// Takes the start-up taint (api/node_taint.h) off each node once its agent is ready: an agent's token
// may do nothing at the API server, so the controller that leads does it. Only nodes whose agent
// became ready are asked about, each agent's once; while the API server refuses or is away, ever more
// seldom. One loop's.
class StartupTaint {
 public:
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    Random& random;
    const api::ObjectStore& objects;  // As they are now.
    std::string name_space;
    absl::AnyInvocable<bool()> leads;
    metrics::Registry& registry;
  };
  explicit StartupTaint(Parts parts);

  // Until stopped. Begin when the objects have been read.
  Task<void> Run(StopToken stop);

 private:
  // An error when others would not fare better: the rest waits.
  Task<absl::Status> VisitAll(std::vector<ReadyAgent> agents, StopToken stop);
  Task<absl::Status> Visit(std::string node, StopToken stop);

  Parts parts_;
  std::set<std::pair<std::string, std::string>>
      visited_;  // Uids of agents' pods and of their nodes.
  Backoff backoff_;
  metrics::Counter removed_;
  metrics::Counter failures_;
};

}  // namespace heddle::controlplane
