#include "controlplane/status_reconciler.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/scope.h"

namespace heddle::controlplane {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);
// No turn of a loop takes longer than 2 ms.
constexpr size_t kPodsPerTurn = 500;

std::string Workloads(size_t count) {
  return absl::StrCat(count, count == 1 ? " workload" : " workloads");
}

std::vector<status::Condition> ConditionsOf(const status::PolicyVerdict& verdict) {
  std::vector<status::Condition> conditions = {{.type = status::kAccepted,
                                                .holds = verdict.accepted,
                                                .reason = std::string(verdict.reason),
                                                .message = verdict.message}};
  if (!verdict.binds) return conditions;
  const bool bound = verdict.workloads > 0;
  conditions.push_back({.type = status::kBound,
                        .holds = bound,
                        .reason = bound ? "Bound" : "NoWorkloads",
                        .message = bound ? absl::StrCat("bound to ", Workloads(verdict.workloads))
                                         : "no pod of the mesh is selected"});
  return conditions;
}

}  // namespace

StatusReconciler::StatusReconciler(Parts parts)
    : parts_(std::move(parts)),
      judge_(parts_.loop.clock(), 1, "hd-status",
             io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
      events_({.loop = parts_.loop,
               .client = parts_.cluster.client(),
               .instance = parts_.instance,
               .registry = parts_.registry,
               .may_write = [this] { return parts_.election.leads(); }}),
      writer_({.loop = parts_.loop,
               .client = parts_.cluster.client(),
               .random = parts_.cluster.random(),
               .events = events_,
               .registry = parts_.registry,
               .may_write = [this] { return parts_.election.leads(); }}),
      changed_(parts_.loop),
      not_captured_(parts_.registry,
                    {.name = "heddle_pods_not_captured",
                     .help = "Running pods that should be captured and are not, or not wholly."}) {
  parts_.source.Observe(*this);
  knowledge_.objects = parts_.mesh.objects();
  parts_.mesh.FollowObjects([this](const std::vector<api::ObjectChange>& changes) {
    unjudged_.insert(unjudged_.end(), changes.begin(), changes.end());
  });
  parts_.election.OnLead([this] { writer_.Recheck(); });
}

void StatusReconciler::OnRaw(const api::ObjectKey& key, const std::string& collection,
                             const kube::RawObject& object) {
  auto present = status::ReadPresentStatus(object, collection);
  if (present.has_value()) writer_.SetPresent(key, *std::move(present));
  // What is refused again, and for the same reason, changes nothing else that would be told.
  if (key.kind != api::Kind::kPod) changed_.Set();
}

Task<void> StatusReconciler::Run(StopToken stop) {
  if (!co_await parts_.mesh.Ready(stop)) co_return;
  Scope scope(parts_.loop, stop);
  scope.Spawn(events_.Run(scope.stop()));
  scope.Spawn(writer_.Run(scope.stop()));
  scope.Spawn(FollowMesh(scope.stop()));
  changed_.Set();
  while (co_await changed_.Wait(stop)) {
    changed_.Reset();
    co_await Reconcile(stop);
    if (pods_.waiting()) changed_.Set();
    if (!co_await parts_.loop.Sleep(kInterval, stop)) break;
  }
  co_await scope.Drain();
}

Task<void> StatusReconciler::FollowMesh(StopToken stop) {
  Mesh::Watcher watcher(parts_.mesh);
  while (co_await watcher.changed.Wait(stop)) {
    watcher.changed.Reset();
    changed_.Set();
  }
}

Task<void> StatusReconciler::JudgeAll(const std::vector<api::ObjectChange>& changes,
                                      status::Verdicts& verdicts) {
  for (const api::ObjectChange& change : changes) {
    if (change.after.has_value()) {
      (void)knowledge_.objects.Put(*change.after);
    } else {
      (void)knowledge_.objects.Erase(api::KeyOf(*change.before));
    }
  }
  verdicts = status::Judge(knowledge_, parts_.options);
  co_return;
}

Task<void> StatusReconciler::Reconcile(StopToken stop) {
  knowledge_.problems = parts_.mesh.problems();
  knowledge_.statuses = parts_.mesh.published().statuses();
  knowledge_.captured = parts_.mesh.reports().captured();
  const std::vector<api::ObjectChange> changes = std::exchange(unjudged_, {});
  status::Verdicts verdicts;
  absl::AnyInvocable<Task<void>()> work = [this, &changes, &verdicts] {
    return JudgeAll(changes, verdicts);
  };
  co_await io::RunOn(parts_.loop, judge_.loop(0), std::move(work));
  SayOfPolicies(verdicts);
  co_await SayOfPods(verdicts, stop);
}

void StatusReconciler::SayOfPolicies(const status::Verdicts& verdicts) {
  for (const auto& [key, verdict] : verdicts.policies)
    writer_.SetWanted(key, ConditionsOf(verdict));
}

// A mesh that leaves takes its conditions along.
Task<void> StatusReconciler::SayOfPods(const status::Verdicts& verdicts, StopToken stop) {
  const bool leaving = parts_.mesh.removal().phase() != translate::RemovalPhase::kNone;
  std::set<api::NamespacedName> enrolled;
  int64_t not_captured = 0;
  size_t turn = 0;
  pods_.Begin();
  for (const status::PodVerdict& pod : verdicts.pods) {
    if (leaving || stop.requested()) break;
    enrolled.insert(pod.name);
    std::optional<status::Condition> condition =
        pods_.Of(pod, parts_.mesh.reports().ProblemOf(pod.node, pod.uid), parts_.loop.Now());
    if (!condition.has_value()) continue;
    if (!condition->holds) ++not_captured;
    writer_.SetPodWanted(pod.name, pod.uid, *std::move(condition));
    if (++turn % kPodsPerTurn == 0) co_await parts_.loop.Yield();
  }
  if (stop.requested()) co_return;
  pods_.End();
  writer_.RetainPods(enrolled);
  not_captured_.Set(not_captured);
}

}  // namespace heddle::controlplane
