#include "controlplane/cluster_writer.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "lib/base/scope.h"

namespace heddle::controlplane {
namespace {

// Nobody waits for it, but people who look wonder.
constexpr absl::Duration kRemoveInterval = absl::Seconds(15);

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "heddle-controller";
}

ClusterWriter::Parts Named(ClusterWriter::Parts parts) {
  if (parts.instance.empty()) parts.instance = HostName();
  return parts;
}

}  // namespace

ClusterWriter::ClusterWriter(Parts parts)
    : parts_(Named(std::move(parts))),
      shared_({.loop = parts_.loop,
               .client = parts_.cluster.client(),
               .random = parts_.cluster.random(),
               .reports = parts_.mesh.reports(),
               .name_space = parts_.cluster.name_space(),
               .instance = parts_.instance,
               .registry = parts_.registry,
               .heard = [this] { status_.Changed(); },
               .changed = [this] { parts_.mesh.ReportsChanged(); },
               .forgotten = [this] { parts_.mesh.ReportForgotten(); },
               .known = [this] { parts_.mesh.ReportsKnown(); }}),
      election_({.loop = parts_.loop,
                 .client = parts_.cluster.client(),
                 .random = parts_.cluster.random(),
                 .name_space = parts_.cluster.name_space(),
                 .identity = parts_.instance,
                 .registry = parts_.registry}),
      status_({.loop = parts_.loop,
               .cluster = parts_.cluster,
               .mesh = parts_.mesh,
               .source = parts_.source,
               .election = election_,
               .options = parts_.options,
               .instance = parts_.instance,
               .registry = parts_.registry}) {
  parts_.mesh.AwaitReports();
  parts_.mesh.AwaitRemovalRecords();
  if (!parts_.startup_taint) return;
  startup_taint_.emplace(StartupTaint::Parts{.loop = parts_.loop,
                                             .client = parts_.cluster.client(),
                                             .random = parts_.cluster.random(),
                                             .objects = parts_.mesh.objects(),
                                             .name_space = parts_.cluster.name_space(),
                                             .leads = [this] { return election_.leads(); },
                                             .registry = parts_.registry});
}

Task<void> ClusterWriter::RemoveStartupTaints(StopToken stop) {
  if (co_await parts_.mesh.Ready(stop)) co_await startup_taint_->Run(stop);
}

Task<void> ClusterWriter::Run(StopToken stop) {
  Scope scope(parts_.loop, stop);
  scope.Spawn(shared_.Run(scope.stop()));
  scope.Spawn(RemoveGoneReports(scope.stop()));
  if (startup_taint_) scope.Spawn(RemoveStartupTaints(scope.stop()));
  scope.Spawn(status_.Run(scope.stop()));
  co_await election_.Run(scope.stop());
  co_await scope.Drain();
}

Task<void> ClusterWriter::RemoveGoneReports(StopToken stop) {
  if (!co_await parts_.mesh.Ready(stop)) co_return;
  while (co_await parts_.loop.Sleep(kRemoveInterval, stop)) {
    if (!election_.leads()) continue;
    std::set<std::string> nodes;
    for (const auto& [name, node] : parts_.mesh.objects().All<api::Node>()) nodes.insert(name.name);
    co_await shared_.RemoveOthers(std::move(nodes), stop);
  }
}

std::string ClusterWriter::StatusJson() const {
  nlohmann::ordered_json json;
  json["instance"] = parts_.instance;
  json["namespace"] = parts_.cluster.name_space();
  json["leads"] = election_.leads();
  json["leader"] = election_.holder();
  json["electionTrouble"] = election_.trouble();
  json["statusWaiting"] = status_.waiting();
  json["statusTrouble"] = status_.trouble();
  json["sharedReports"] = shared_.synced() ? "known" : "not yet known";
  json["sharedReportsTrouble"] = shared_.trouble();
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace heddle::controlplane
