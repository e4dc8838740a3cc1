#include "controlplane/mesh.h"

#include <malloc.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/scope.h"

namespace heddle::controlplane {
namespace {

// Between two writes of the captured pods.
constexpr absl::Duration kSavePause = absl::Seconds(1);

bool IsOfNode(const api::ObjectChange& change) {
  const api::Object& object = change.after.has_value() ? *change.after : *change.before;
  return std::holds_alternative<std::shared_ptr<const api::Node>>(object);
}

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
      translation_(objects_, parts_.options),
      dirty_(parts_.loop),
      unsaved_(parts_.loop),
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
  Publish(input, Translate(input));
  ::malloc_trim(0);  // What reading and translating a whole mesh took besides is a tenth of it.
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

// A file of all captured pods: when all nodes of a large mesh report at once, not one for each.
Task<void> Mesh::KeepReportsSaved(StopToken stop) {
  while (co_await unsaved_.Wait(stop)) {
    unsaved_.Reset();
    SaveReports();
    co_await parts_.loop.Sleep(kSavePause, stop);
  }
  SaveReports();
}

Task<void> Mesh::Run(StopToken stop) {
  Scope scope(parts_.loop, stop);
  scope.Spawn(parts_.source.Run(dirty_, scope.stop()));
  scope.Spawn(KeepReportsSaved(scope.stop()));
  while (co_await dirty_.Wait(stop)) {
    dirty_.Reset();
    ReadSource();
    if (!MustTranslate()) continue;
    const Input input = TakeInput();
    xds::Publication publication;
    absl::AnyInvocable<Task<void>()> work = [this, &input, &publication] {
      return TranslateInto(input, publication);
    };
    co_await io::RunOn(parts_.loop, translator_.loop(0), std::move(work));
    Publish(input, std::move(publication));
  }
  co_await scope.Drain();
}

void Mesh::ReadSource() {
  const api::StoreDiff diff = parts_.source.Poll();
  LogProblems();
  if (diff.empty()) return;
  std::vector<api::ObjectChange> changes = objects_.Apply(diff);
  nodes_changed_ |= std::ranges::any_of(changes, IsOfNode);
  if (object_follower_ != nullptr) object_follower_(changes);
  std::move(changes.begin(), changes.end(), std::back_inserter(changes_));
  const uint64_t before = removal_.generation();
  removal_.SetRequest(
      objects_.Find<api::Removal>({parts_.options.own_namespace, api::kRemovalName}));
  FollowRemoval(before);
}

// A cluster without any object is published as well.
bool Mesh::MustTranslate() const {
  if (!parts_.source.synced() || reports_awaited_) return false;
  return !ready_.set() || !changes_.empty() || reports_.generation() != translated_reports_ ||
         removal_.generation() != translated_removal_;
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

Task<void> Mesh::TranslateInto(const Input& input, xds::Publication& output) {
  output = Translate(input);
  co_return;
}

// What changes from now on is for the next translation.
Mesh::Input Mesh::TakeInput() {
  translated_reports_ = reports_.generation();
  translated_removal_ = removal_.generation();
  return {.changes = {.objects = std::exchange(changes_, {}),
                      .captured = reports_.TakeChanges(),
                      .removal = removal_.phase()},
          .began = parts_.loop.Now()};
}

void Mesh::Publish(const Input& input, xds::Publication publication) {
  published_.Publish(std::move(publication));
  translations_.Add();
  translating_us_.Add(
      static_cast<uint64_t>(absl::ToInt64Microseconds(parts_.loop.Now() - input.began)));
  objects_held_.Set(static_cast<int64_t>(objects_.size()));
  LookAtNodes();
  ready_.Set();
  ReportsChanged();
  const uint64_t before = removal_.generation();
  if (removal_.requested()) removal_.SetNodes(NodesOfRemoval());
  removal_.Published(input.changes.removal);
  FollowRemoval(before);
  watchers_.ForEach([](Watcher& watcher) { watcher.changed.Set(); });
  if (saved_reports_ != reports_.generation()) unsaved_.Set();
}

// Nodes are many and hardly ever change.
void Mesh::LookAtNodes() {
  if (std::exchange(nodes_changed_, false)) {
    node_names_.clear();
    for (const auto& [name, node] : objects_.All<api::Node>()) node_names_.insert(name.name);
    nodes_have_tokens_ = parts_.tokens == nullptr;
  }
  if (!nodes_have_tokens_) nodes_have_tokens_ = parts_.tokens->Ensure(node_names_);
  reports_.Retain(node_names_);
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
  // Before the first publication there is more to wait for; that one has the phase.
  if (ready_.set()) dirty_.Set();
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
  return published_.Get(xds::ResourceType::kNodePod, node)->Find(uid) != nullptr;
}

}  // namespace heddle::controlplane
