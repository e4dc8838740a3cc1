#include "cli/removal/uninstall_command.h"

#include <absl/strings/str_cat.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/cluster/session.h"
#include "cli/install/installer.h"
#include "cli/install/settings.h"
#include "cli/removal/cluster_leftovers.h"
#include "cli/removal/removal_watch.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kPollInterval = absl::Seconds(1);

struct UninstallOptions {
  bool prepare = false;
  bool finish = false;
  bool cancel = false;
  bool force = false;
  bool startup_taint = false;
  std::string name_space = "heddle-system";
  int drain_seconds = 60;
  int timeout_seconds = 240;  // Below what helm waits for a hook.
  AccessOptions access;
};

std::string Collection(const UninstallOptions& options) {
  return absl::StrCat("/api/v1/namespaces/", options.name_space, "/configmaps");
}

RemovalData DataOf(const Json& object) {
  RemovalData data;
  const auto found = object.find("data");
  if (found == object.end() || !found->is_object()) return data;
  for (const auto& [key, value] : found->items()) {
    if (value.is_string()) data[key] = value.get<std::string>();
  }
  return data;
}

void Say(const std::string& line) {
  std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
}

// One that is there is gone on with.
absl::Status Ask(ClusterSession& session, const UninstallOptions& options) {
  const Json object = {{"apiVersion", "v1"},
                       {"kind", "ConfigMap"},
                       {"metadata",
                        {{"name", kRemovalName},
                         {"namespace", options.name_space},
                         {"labels", {{"app.kubernetes.io/part-of", "heddle"}}}}},
                       {"data", {{"drainSeconds", std::to_string(options.drain_seconds)}}}};
  const auto made = session.Send({.method = "POST",
                                  .path = Collection(options),
                                  .body = object.dump(),
                                  .content_type = "application/json"});
  if (absl::IsAborted(made.status())) {
    Say("the removal was asked for before: going on with it");
    return absl::OkStatus();
  }
  if (made.ok()) Say("the mesh is asked to leave; to take it back: heddlectl uninstall --cancel");
  return made.status();
}

// An API server that does not answer for a moment is asked again.
absl::Status WaitGone(ClusterSession& session, const UninstallOptions& options) {
  const MonotonicTime end = session.Now() + absl::Seconds(options.timeout_seconds);
  RemovalData seen;
  std::string missing;
  while (true) {
    const auto object = session.Get(RemovalPath(options.name_space));
    if (absl::IsNotFound(object.status()))
      return absl::AbortedError("the removal was taken back: its ConfigMap is gone");
    if (absl::IsPermissionDenied(object.status())) return object.status();
    if (object.ok()) {
      RemovalData now = DataOf(*object);
      for (const std::string& line : Progress(seen, now)) Say(line);
      missing = WhatIsMissing(now);
      seen = std::move(now);
      if (missing.empty()) return absl::OkStatus();
    }
    if (session.Now() >= end) {
      // Nobody knows then whether it was taken back, or what nodes say.
      if (!object.ok()) return absl::UnavailableError(object.status().message());
      break;
    }
    session.Sleep(kPollInterval);
  }
  return absl::DeadlineExceededError(absl::StrCat(
      "after ", options.timeout_seconds, " s ", missing,
      ". Run it again to wait on; or, on each node that will not answer, `heddlectl purge` (see "
      "docs/operations.md), and here --force"));
}

// Nodes that do not answer are all that can be given up: after anything else, as a removal that was
// taken back, nodes may be capturing their pods.
absl::Status Prepare(ClusterSession& session, const UninstallOptions& options) {
  TRY_STATUS(Ask(session, options));
  const absl::Status gone = WaitGone(session, options);
  if (!options.force || !absl::IsDeadlineExceeded(gone)) return gone;
  Say(absl::StrCat("going on all the same (--force): ", std::string(gone.message())));
  return absl::OkStatus();
}

absl::StatusOr<size_t> CountPods(ClusterSession& session, const UninstallOptions& options) {
  TRY_ASSIGN(const std::vector<Json> pods,
             session.List(absl::StrCat("/api/v1/namespaces/", options.name_space,
                                       "/pods?labelSelector=app%20in%20(heddle-agent,heddle-"
                                       "controller)")));
  return pods.size();
}

absl::Status TakeBack(ClusterSession& session, const UninstallOptions& options) {
  const auto deleted = session.Send({.method = "DELETE", .path = RemovalPath(options.name_space)});
  if (absl::IsNotFound(deleted.status())) return absl::OkStatus();
  return deleted.status();
}

// The ConfigMap goes last: a controller or an agent that lives would take its going for "come back".
absl::Status Finish(ClusterSession& session, const UninstallOptions& options) {
  const MonotonicTime end = session.Now() + absl::Seconds(options.timeout_seconds);
  while (true) {
    TRY_ASSIGN(const size_t pods, CountPods(session, options));
    if (pods == 0) break;
    if (session.Now() >= end) {
      return absl::DeadlineExceededError(absl::StrCat(
          pods,
          " pods of heddle-agent and heddle-controller are still there; when they are gone, "
          "delete the ConfigMap ",
          kRemovalName));
    }
    session.Sleep(kPollInterval);
  }
  if (options.startup_taint) TRY_STATUS(ClearStartupTaints(session, Say));
  TRY_STATUS(DeleteControllersObjects(session, options.name_space));
  TRY_STATUS(TakeBack(session, options));
  Say("nothing of Heddle runs any more; a new install starts anew");
  return absl::OkStatus();
}

// One that was interrupted when everything was deleted has only to be finished.
absl::Status CheckBefore(ClusterSession& session, const UninstallOptions& options) {
  absl::Status installed = CheckInstalled(session, options.name_space);
  if (!absl::IsNotFound(installed)) return installed;
  const auto asked = session.Get(RemovalPath(options.name_space));
  return absl::IsNotFound(asked.status()) ? installed : asked.status();
}

// What helm does between its hooks is done here.
absl::Status PrepareDeleteAndFinish(ClusterSession& session, const UninstallOptions& options) {
  TRY_STATUS(CheckBefore(session, options));
  TRY_STATUS(Prepare(session, options));
  TRY_STATUS(DeleteInventory(session, options.name_space, Say));
  TRY_STATUS(Finish(session, options));
  Say(absl::StrCat("what stays: Heddle's kinds with their policies, and the namespace ",
                   options.name_space,
                   " with the root of the certificates; kubectl delete namespace ",
                   options.name_space, " forgets that"));
  return absl::OkStatus();
}

absl::StatusOr<Outcome> Uninstall(const UninstallOptions& options) {
  const int steps = options.prepare + options.finish + options.cancel;
  if (steps > 1)
    return absl::InvalidArgumentError("--prepare, --finish and --cancel: one of them, or none");
  TRY_ASSIGN(kube::ClusterAccess access, FindClusterAccess(options.access));
  ClusterSession session(std::move(access));
  if (steps == 0) TRY_STATUS(PrepareDeleteAndFinish(session, options));
  if (options.prepare) TRY_STATUS(Prepare(session, options));
  if (options.finish) TRY_STATUS(Finish(session, options));
  if (options.cancel) {
    TRY_STATUS(TakeBack(session, options));
    Say("the removal is taken back: nodes capture their pods again");
  }
  return Outcome{};
}

}  // namespace

void AddUninstallCommand(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<UninstallOptions>();
  CLI::App* uninstall = app.add_subcommand(
      "uninstall",
      "Has the mesh leave the cluster in order, and deletes what heddlectl install made");
  uninstall->add_flag("--prepare", options->prepare,
                      "Only the first step: every node lets go of its pods");
  uninstall->add_flag("--finish", options->finish,
                      "Only the last step: waits for Heddle's pods to go, and forgets the removal");
  uninstall->add_flag("--cancel", options->cancel, "Takes it back: everything comes back");
  uninstall->add_flag("--startup-taint", options->startup_taint,
                      "Takes the start-up taint off all nodes, too, in the last step");
  uninstall->add_flag("--force", options->force,
                      "Goes on after --timeout although nodes have not let go");
  uninstall->add_option("--namespace", options->name_space, "Heddle's namespace")
      ->capture_default_str();
  uninstall
      ->add_option("--drain", options->drain_seconds,
                   "How many seconds connections that the mesh carries may go on")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  uninstall
      ->add_option("--timeout", options->timeout_seconds,
                   "How many seconds to wait for the nodes, and for Heddle's pods to go")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  uninstall->add_option("--kubeconfig", options->access.kubeconfig,
                        "Which API server, and who asks it (default: $KUBECONFIG, ~/.kube/config, "
                        "the service account)");
  uninstall->add_option("--context", options->access.context, "Context of the kubeconfig");
  uninstall->callback([options, &chosen] { chosen = [options] { return Uninstall(*options); }; });
}

}  // namespace heddle::cli
