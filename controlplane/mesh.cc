#include "controlplane/mesh.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/scope.h"

namespace heddle::controlplane {
namespace {

const char* EffectOf(translate::RemovalPhase phase) {
  switch (phase) {
    case translate::RemovalPhase::kNone: return "cancelled: the mesh stays, and comes back";
    case translate::RemovalPhase::kRelax:
      return "relax: no policy is in effect any more, STRICT and AuthorizationPolicies alike";
    case translate::RemovalPhase::kPlain: return "plain: all pods are announced as plain";
    case translate::RemovalPhase::kRelease: return "release: nodes let go of their pods";
  }
  return "";
}

}  // namespace

Mesh::Mesh(Parts parts)
    : parts_(std::move(parts)),
      translator_(parts_.loop.clock(), 1, "hd-translate",
                  io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
      source_changed_(parts_.loop),
      dirty_(parts_.loop),
      ready_(parts_.loop),
      translations_(parts_.registry, {.name = "heddle_controller_translations",
                                      .help = "Times that the objects were translated."}),
      translating_us_(parts_.registry,
                      {.name = "heddle_controller_translation_microseconds",
                       .help = "Time from the beginning of each translation to its publication."}),
      objects_held_(parts_.registry,
                    {.name = "heddle_controller_objects", .help = "Objects that are in effect."}),
      problems_held_(parts_.registry,
                     {.name = "heddle_controller_source_problems",
                      .help = "Objects and files that are not in effect as they were written."}) {
  RestoreReports();
  ReadSource();
  if (!parts_.source.synced()) return;
  const Input input = TakeInput();
  Publish(input,
          translate::Translate(input.objects, input.captured, parts_.options, input.removal));
}

void Mesh::RestoreReports() {
  const auto captured = parts_.capture_file.Load();
  if (captured.ok()) return reports_.Restore(*captured);
  LOG_WARN("capture.restore.failed", KV("error", captured.status()),
           KV("effect", "pods are announced as plain until their agents have reported again"));
}

void Mesh::SaveReports() {
  if (saved_reports_ == reports_.generation()) return;
  const absl::Status saved = parts_.capture_file.Save(reports_.captured());
  if (!saved.ok()) LOG_WARN("capture.save.failed", KV("error", saved));
  // Not tried again before the next change: a full disk would fill the log as well.
  saved_reports_ = reports_.generation();
}

Task<void> Mesh::Run(StopToken stop) {
  Scope scope(parts_.loop, stop);
  scope.Spawn(parts_.source.Run(source_changed_, scope.stop()));
  scope.Spawn(FollowSource(scope.stop()));
  while (co_await dirty_.Wait(stop)) {
    const Input input = TakeInput();
    translate::Translation translation;
    absl::AnyInvocable<Task<void>()> work = [this, &input, &translation] {
      return Translate(input, parts_.options, translation);
    };
    co_await io::RunOn(parts_.loop, translator_.loop(0), std::move(work));
    Publish(input, std::move(translation));
  }
  co_await scope.Drain();
}

Task<void> Mesh::FollowSource(StopToken stop) {
  while (co_await source_changed_.Wait(stop)) {
    source_changed_.Reset();
    if (ReadSource()) dirty_.Set();
  }
}

bool Mesh::ReadSource() {
  const api::StoreDiff diff = parts_.source.Poll();
  LogProblems();
  objects_.Apply(diff);
  if (!diff.empty()) {
    const uint64_t before = removal_.generation();
    removal_.SetRequest(
        objects_.Find<api::Removal>({parts_.options.own_namespace, api::kRemovalName}));
    FollowRemoval(before);
  }
  // A cluster without any object is published as well.
  return parts_.source.synced() && !reports_awaited_ && (!diff.empty() || !ready_.set());
}

void Mesh::LogProblems() {
  const std::vector<api::Problem>& problems = parts_.source.problems();
  if (problems == logged_) return;
  std::set<std::string> before;
  for (const api::Problem& problem : logged_) before.insert(problem.ToString());
  for (const api::Problem& problem : problems) {
    const std::string sentence = problem.ToString();
    if (!before.contains(sentence)) LOG_WARN("object.refused", KV("problem", sentence));
  }
  logged_ = problems;
  problems_held_.Set(static_cast<int64_t>(problems.size()));
}

Task<void> Mesh::Translate(const Input& input, const translate::MeshOptions& options,
                           translate::Translation& output) {
  output = translate::Translate(input.objects, input.captured, options, input.removal);
  co_return;
}

// What changes from now on is for the next translation.
Mesh::Input Mesh::TakeInput() {
  dirty_.Reset();
  translated_reports_ = reports_.generation();
  return {.objects = objects_,
          .captured = reports_.captured(),
          .removal = removal_.phase(),
          .began = parts_.loop.Now()};
}

void Mesh::Publish(const Input& input, translate::Translation translation) {
  published_.Publish(std::move(translation));
  translations_.Add();
  translating_us_.Add(
      static_cast<uint64_t>(absl::ToInt64Microseconds(parts_.loop.Now() - input.began)));
  objects_held_.Set(static_cast<int64_t>(input.objects.size()));
  std::set<std::string> nodes;
  for (const auto& [name, node] : input.objects.All<api::Node>()) nodes.insert(name.name);
  parts_.tokens.Ensure(nodes);
  reports_.Retain(nodes);
  ready_.Set();
  ReportsChanged();
  const uint64_t before = removal_.generation();
  if (removal_.requested()) removal_.SetNodes(NodesOfRemoval());
  removal_.Published(input.removal);
  FollowRemoval(before);
  watchers_.ForEach([](Watcher& watcher) { watcher.changed.Set(); });
  SaveReports();
}

// Where an agent runs, whether it is connected or not, and where something is captured.
std::set<std::string> Mesh::NodesOfRemoval() const {
  std::set<std::string> nodes;
  for (const auto& [name, pod] : objects_.All<api::Pod>()) {
    const bool agent = name.name_space == parts_.options.own_namespace &&
                       pod->meta.Label("app") == "heddle-agent" && !pod->terminal;
    if (agent && !pod->node_name.empty()) nodes.insert(pod->node_name);
  }
  for (const auto& [node, uids] : reports_.captured()) nodes.insert(node);
  return nodes;
}

void Mesh::FollowRemoval(uint64_t before) {
  if (removal_.generation() == before) return;
  const translate::RemovalPhase phase = removal_.phase();
  if (phase != logged_removal_) {
    logged_removal_ = phase;
    LOG_WARN("removal.phase", KV("phase", EffectOf(phase)));
  }
  dirty_.Set();
  watchers_.ForEach([](Watcher& watcher) { watcher.changed.Set(); });
}

void Mesh::NodeInSync(const std::string& node) {
  const uint64_t before = removal_.generation();
  removal_.InSync(node);
  FollowRemoval(before);
}

void Mesh::NodeReported(const std::string& node, const NodeRemovalReport* report) {
  const bool done = removal_.done();
  if (report != nullptr) {
    removal_.Reported(node, *report);
  } else {
    removal_.Silent(node);
  }
  if (removal_.done() && !done) LOG_INFO("removal.done");
}

bool Mesh::IsBound(const std::string& node, const std::string& uid) const {
  const xds::SnapshotPtr pods = published_.Get(xds::ResourceType::kNodePod, node);
  const auto found = std::lower_bound(
      pods->resources.begin(), pods->resources.end(), uid,
      [](const xds::ResourcePtr& pod, const std::string& wanted) { return pod->name < wanted; });
  return found != pods->resources.end() && (*found)->name == uid;
}

}  // namespace heddle::controlplane
