#include "controlplane/startup_taint.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "controlplane/api/node_taint.h"
#include "controlplane/status/leader_election.h"
#include "lib/base/log.h"
#include "lib/base/status.h"

namespace heddle::controlplane {
namespace {

// Pods wait for it to be scheduled.
constexpr absl::Duration kLookInterval = absl::Seconds(1);
constexpr absl::Duration kBackoffMin = absl::Seconds(2);
constexpr absl::Duration kBackoffMax = absl::Seconds(30);

kube::ApiRequest PatchOf(const std::string& path, std::string patch) {
  return {.method = "PATCH",
          .path = path,
          .body = std::move(patch),
          .content_type = "application/json-patch+json"};
}

}  // namespace

std::vector<ReadyAgent> ReadyAgents(const api::ObjectStore& objects,
                                    const std::string& name_space) {
  std::vector<ReadyAgent> agents;
  for (const auto& [name, pod] : objects.All<api::Pod>()) {
    if (name.name_space != name_space || pod->service_account != kAgentAccount) continue;
    if (!pod->ready || pod->terminal || pod->meta.deleting || pod->node_name.empty()) continue;
    const auto* node = objects.Find<api::Node>({"", pod->node_name});
    agents.push_back({pod->meta.uid, pod->node_name, node == nullptr ? "" : node->meta.uid});
  }
  return agents;
}

StartupTaint::StartupTaint(Parts parts)
    : parts_(std::move(parts)),
      backoff_(kBackoffMin, kBackoffMax),
      removed_(parts_.registry, {"heddle_controller_startup_taints_removed",
                                 "Nodes whose start-up taint was taken away"}),
      failures_(parts_.registry, {"heddle_controller_startup_taint_failures",
                                  "Nodes that could not be asked or written about"}) {}

Task<void> StartupTaint::Run(StopToken stop) {
  while (co_await parts_.loop.Sleep(kLookInterval, stop)) {
    // Who leads next looks at all of them anew.
    if (!parts_.leads()) {
      visited_.clear();
      continue;
    }
    std::vector<ReadyAgent> agents = ReadyAgents(parts_.objects, parts_.name_space);
    decltype(visited_) alive;
    for (const ReadyAgent& agent : agents) alive.emplace(agent.uid, agent.node_uid);
    std::erase_if(visited_, [&alive](const auto& visited) { return !alive.contains(visited); });
    if ((co_await VisitAll(std::move(agents), stop)).ok()) {
      backoff_.Reset();
    } else {
      (void)co_await parts_.loop.Sleep(backoff_.Next(parts_.random), stop);
    }
  }
}

Task<absl::Status> StartupTaint::VisitAll(std::vector<ReadyAgent> agents, StopToken stop) {
  for (const ReadyAgent& agent : agents) {
    if (visited_.contains({agent.uid, agent.node_uid})) continue;
    if (stop.requested() || !parts_.leads()) break;
    const absl::Status done = co_await Visit(agent.node, stop);
    if (done.ok()) {
      visited_.emplace(agent.uid, agent.node_uid);
      continue;
    }
    if (stop.requested()) break;
    failures_.Add(1);
    LOG_WARN("startup_taint.failed", KV("node", agent.node), KV("error", done));
    // The node has changed meanwhile: another look, in a second.
    if (!absl::IsAborted(done) && !absl::IsInvalidArgument(done)) co_return done;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> StartupTaint::Visit(std::string node, StopToken stop) {
  Deadline soon(parts_.loop, stop, status::kLeaderWriteTimeout);
  const std::string path = absl::StrCat("/api/v1/nodes/", node);
  kube::ApiRequest read{.path = path};
  CO_TRY_ASSIGN(const kube::ApiAnswer found, co_await parts_.client.Call(read, soon.token()));
  constexpr int kNotFound = 404;
  constexpr int kOk = 200;
  if (found.status == kNotFound) co_return absl::OkStatus();
  if (found.status != kOk) co_return kube::StatusOf(read, found);
  std::optional<std::string> patch = api::PatchWithoutTaint(found.body);
  if (!patch) co_return absl::OkStatus();
  const kube::ApiRequest write = PatchOf(path, *std::move(patch));
  CO_TRY_ASSIGN(const kube::ApiAnswer answer, co_await parts_.client.Call(write, soon.token()));
  if (answer.status != kOk) co_return kube::StatusOf(write, answer);
  removed_.Add(1);
  LOG_INFO("startup_taint.removed", KV("node", node));
  co_return absl::OkStatus();
}

}  // namespace heddle::controlplane
