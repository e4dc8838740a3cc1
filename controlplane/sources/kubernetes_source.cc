#include "controlplane/sources/kubernetes_source.h"

#include <absl/strings/str_cat.h>

#include <map>
#include <optional>
#include <utility>

#include "controlplane/api/json.h"
#include "controlplane/sources/watched_kinds.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"

namespace heddle::controlplane::sources {

using api::ObjectKey;
using api::Problem;

namespace {

// What lasts as long is a problem; what goes over by itself before is not.
constexpr absl::Duration kTroublePatience = absl::Seconds(5);
// How often a kind that has no effect is looked for while it is not installed.
constexpr absl::Duration kIgnoredInterval = absl::Minutes(1);

// How one kind is followed, for operators.
class KindMetrics {
 public:
  KindMetrics(metrics::Registry& registry, std::string_view kind)
      : lists_(registry, {.name = "heddle_controller_kube_lists",
                          .help = "Complete lists of the objects of a kind.",
                          .labels = {{"kind", kind}}}),
        watches_(registry, {.name = "heddle_controller_kube_watches",
                            .help = "Watches that the API server accepted.",
                            .labels = {{"kind", kind}}}),
        events_(registry, {.name = "heddle_controller_kube_events",
                           .help = "Changes of objects that watches told.",
                           .labels = {{"kind", kind}}}),
        expired_(registry, {.name = "heddle_controller_kube_expired",
                            .help = "Lists made anew because a version was no longer known (410).",
                            .labels = {{"kind", kind}}}),
        failures_(registry, {.name = "heddle_controller_kube_failures",
                             .help = "Requests to the API server that failed or were refused.",
                             .labels = {{"kind", kind}}}),
        objects_(registry, {.name = "heddle_controller_kube_objects",
                            .help = "Objects of a kind that the API server has.",
                            .labels = {{"kind", kind}}}) {}

  void Set(const kube::ReflectorState& state) {
    const kube::ReflectorStats& now = state.stats();
    lists_.Add(now.lists - counted_.lists);
    watches_.Add(now.watches - counted_.watches);
    events_.Add(now.events - counted_.events);
    expired_.Add(now.expired - counted_.expired);
    failures_.Add(now.failures - counted_.failures);
    objects_.Set(static_cast<int64_t>(state.objects()));
    counted_ = now;
  }

 private:
  kube::ReflectorStats counted_;
  metrics::Counter lists_;
  metrics::Counter watches_;
  metrics::Counter events_;
  metrics::Counter expired_;
  metrics::Counter failures_;
  metrics::Gauge objects_;
};

}  // namespace

struct KubernetesSource::Parts {
  kube::ApiClient& client;
  Random& random;
  metrics::Registry& registry;
};

// One kind: decodes what its reflector tells.
class KubernetesSource::Follower final : public kube::ObjectSink {
 public:
  Follower(KubernetesSource& source, const WatchedKind& kind, const Parts& parts)
      : source_(source),
        kind_(kind.kind),
        metrics_(parts.registry, api::ToString(kind.kind)),
        reflector_(
            source.loop_, parts.client,
            kube::ReflectorOptions{.paths = kind.paths, .field_selector = kind.field_selector},
            *this, parts.random) {}

  void OnObject(const kube::RawObject& object) override {
    const ObjectKey key = KeyOf(object.name);
    const absl::StatusOr<api::Tree> tree = api::ParseJson(object.json);
    source_.objects_.Set(key, tree.ok()
                                  ? api::DecodeObject(kind_, *tree)
                                  : api::RefuseObject(key, std::string(tree.status().message())));
    if (observed()) source_.observer_->OnRaw(key, state().path(), object);
    source_.Changed();
  }
  void OnGone(const kube::ObjectName& name) override {
    source_.objects_.Remove(KeyOf(name));
    if (observed()) source_.observer_->OnRawGone(KeyOf(name));
    source_.Changed();
  }
  void OnState(const kube::ReflectorState& state) override {
    metrics_.Set(state);
    if (std::exchange(phase_, state.phase()) == state.phase()) return;
    const bool absent = state.phase() == kube::ReflectorState::Phase::kAbsent;
    LOG_INFO(absent ? "kube.kind.absent" : "kube.kind.followed", KV("kind", api::ToString(kind_)),
             KV("path", state.path()), KV("objects", state.objects()));
    source_.Changed();
  }

  // What keeps it from following, when that was so at the last call as well.
  const std::string& LastingTrouble() {
    metrics_.Set(state());
    static const std::string kNone;
    const bool lasts = std::exchange(troubled_, !state().trouble().empty());
    return lasts ? state().trouble() : kNone;
  }
  api::Kind kind() const { return kind_; }
  kube::Reflector& reflector() { return reflector_; }
  const kube::ReflectorState& state() const { return reflector_.state(); }

 private:
  // Others say nothing in their status.
  bool observed() const {
    return source_.observer_ != nullptr &&
           (kind_ == api::Kind::kPod || kind_ == api::Kind::kPeerAuthentication ||
            kind_ == api::Kind::kAuthorizationPolicy || kind_ == api::Kind::kInterceptionPolicy);
  }
  ObjectKey KeyOf(const kube::ObjectName& name) const {
    return {kind_, {name.name_space, name.name}};
  }

  KubernetesSource& source_;
  const api::Kind kind_;
  KindMetrics metrics_;
  kube::Reflector reflector_;
  kube::ReflectorState::Phase phase_ = kube::ReflectorState::Phase::kStarting;
  bool troubled_ = false;
};

// A kind that has no effect here: whether there is any of it. One that may not be read is not
// there, as far as we are concerned.
class KubernetesSource::Bystander final : public kube::ObjectSink {
 public:
  Bystander(io::Loop& loop, const IgnoredKind& kind, const Parts& parts)
      : name_(kind.name),
        reflector_(
            loop, parts.client,
            kube::ReflectorOptions{
                .paths = kind.paths, .metadata_only = true, .absent_interval = kIgnoredInterval},
            *this, parts.random) {}

  void OnObject(const kube::RawObject&) override {}
  void OnGone(const kube::ObjectName&) override {}

  kube::Reflector& reflector() { return reflector_; }
  std::optional<Problem> problem() const {
    const size_t count = reflector_.state().objects();
    if (count == 0) return std::nullopt;
    return Problem{.kind = name_,
                   .reason = absl::StrCat("this kind is not supported, and there ",
                                          count == 1 ? "is one object" : "are objects", " of it")};
  }

 private:
  const std::string name_;
  kube::Reflector reflector_;
};

KubernetesSource::KubernetesSource(io::Loop& loop, kube::ApiClient& client, Random& random,
                                   metrics::Registry& registry, const std::string& own_namespace)
    : loop_(loop) {
  const Parts parts{.client = client, .random = random, .registry = registry};
  for (const WatchedKind& kind : WatchedKinds())
    followers_.push_back(std::make_unique<Follower>(*this, kind, parts));
  followers_.push_back(std::make_unique<Follower>(*this, RemovalKind(own_namespace), parts));
  for (const IgnoredKind& kind : IgnoredKinds())
    bystanders_.push_back(std::make_unique<Bystander>(loop, kind, parts));
}

KubernetesSource::~KubernetesSource() = default;

Task<void> KubernetesSource::Run(Event& changed, StopToken stop) {
  changed_ = &changed;
  Scope scope(loop_, stop);
  for (const auto& follower : followers_) scope.Spawn(follower->reflector().Run(scope.stop()));
  for (const auto& bystander : bystanders_) scope.Spawn(bystander->reflector().Run(scope.stop()));
  scope.Spawn(Watch(scope.stop()));
  co_await scope.Join();
  changed_ = nullptr;
}

// Looks at what has lasted.
Task<void> KubernetesSource::Watch(StopToken stop) {
  while (co_await loop_.Sleep(kTroublePatience, stop)) Judge();
}

// Kinds that fail for the same reason, as all do when there is no connection, are one problem.
void KubernetesSource::Judge() {
  std::map<std::string, std::vector<const Follower*>> by_reason;
  for (const auto& follower : followers_) {
    const std::string& trouble = follower->LastingTrouble();
    if (!trouble.empty()) by_reason[trouble].push_back(follower.get());
  }
  std::vector<Problem> troubles;
  for (const auto& [reason, kinds] : by_reason) {
    troubles.push_back(
        {.kind = kinds.size() == 1 ? std::string(api::ToString(kinds.front()->kind()))
                                   : absl::StrCat(kinds.size(), " kinds"),
         .reason = reason,
         .effect = synced() ? Problem::Effect::kLastGoodKept : Problem::Effect::kNothingServed});
  }
  for (const auto& bystander : bystanders_) {
    if (std::optional<Problem> problem = bystander->problem()) troubles.push_back(*problem);
  }
  if (troubles == troubles_) return;
  troubles_ = std::move(troubles);
  Changed();
}

void KubernetesSource::Changed() {
  if (changed_ != nullptr) changed_->Set();
}

bool KubernetesSource::synced() const {
  return std::ranges::all_of(followers_, [](const auto& one) { return one->state().synced(); });
}

api::StoreDiff KubernetesSource::Poll() {
  problems_ = troubles_;
  for (Problem& problem : objects_.Problems()) problems_.push_back(std::move(problem));
  return synced() ? objects_.TakeDiff() : api::StoreDiff();
}

}  // namespace heddle::controlplane::sources
