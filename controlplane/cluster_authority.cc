#include "controlplane/cluster_authority.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "controlplane/ca/root_secret.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/kube/reflector.h"

namespace heddle::controlplane {
namespace {

constexpr char kFieldManager[] = "heddle-controller";
// How often it is looked at whether a rotation's phase has come.
constexpr absl::Duration kPhaseInterval = absl::Minutes(1);
// Two controllers whose clocks differ see a phase come at different times. They, or anybody else who
// writes the ConfigMap, are not fought any faster.
constexpr absl::Duration kApplyInterval = absl::Seconds(10);
// The Secret and the ConfigMap are watched apart: of what another controller has just made, one may be
// heard of before the other.
constexpr absl::Duration kLostAfter = absl::Seconds(5);
constexpr absl::Duration kBackoffMin = absl::Milliseconds(500);
constexpr absl::Duration kBackoffMax = absl::Seconds(30);

}  // namespace

// One object, by name. A role that names it allows no more.
class ClusterAuthority::Follower final : public kube::ObjectSink {
 public:
  Follower(ClusterAuthority& owner, const char* plural, const char* name)
      : owner_(owner),
        reflector_(owner.parts_.loop, owner.parts_.client,
                   {.paths = {owner.Collection(plural)},
                    .field_selector = absl::StrCat("metadata.name=", name)},
                   *this, owner.parts_.random) {}

  void OnObject(const kube::RawObject& object) override {
    text_ = object.json;
    owner_.changed_.Set();
  }
  void OnGone(const kube::ObjectName&) override {
    text_.reset();
    owner_.changed_.Set();
  }
  void OnState(const kube::ReflectorState& state) override {
    if (state.phase() == kube::ReflectorState::Phase::kFollowing && state.trouble().empty())
      heard_ = owner_.parts_.loop.clock().Wall();
    owner_.changed_.Set();
  }

  Task<void> Run(StopToken stop) { return reflector_.Run(stop); }
  // OK once it is known whether there is one.
  absl::Status Known(const char* what) const {
    if (heard_ > absl::InfinitePast()) return absl::OkStatus();
    const std::string& trouble = reflector_.state().trouble();
    return absl::UnavailableError(
        absl::StrCat(what, " has not been read yet", trouble.empty() ? "" : ": ", trouble));
  }
  // False while the first answer is awaited: nothing has failed.
  bool answered() const {
    return reflector_.state().synced() || !reflector_.state().trouble().empty();
  }
  // Null when there is none.
  const std::string* text() const { return text_.has_value() ? &*text_ : nullptr; }
  // When the API server said last that this is what there is.
  absl::Time heard() const { return heard_; }

 private:
  ClusterAuthority& owner_;
  kube::Reflector reflector_;
  std::optional<std::string> text_;
  absl::Time heard_ = absl::InfinitePast();
};

ClusterAuthority::ClusterAuthority(Parts parts)
    : parts_(std::move(parts)),
      changed_(parts_.loop),
      ready_(parts_.loop),
      secret_(std::make_unique<Follower>(*this, "secrets", ca::kSecretName)),
      roots_(std::make_unique<Follower>(*this, "configmaps", ca::kRootConfigMapName)),
      backoff_(kBackoffMin, kBackoffMax),
      failures_(
          parts_.registry,
          {.name = "heddle_controller_root_failures",
           .help = "Times that the root's Secret or ConfigMap could not be read or written."}),
      phase_now_(parts_.registry,
                 {.name = "heddle_controller_root_rotation_phase",
                  .help = "0: no rotation; 1: the next root is distributed; 2: it signs."}),
      expires_(parts_.registry, {.name = "heddle_controller_root_not_after_seconds",
                                 .help = "When the root that signs ends, in Unix time."}) {}

ClusterAuthority::~ClusterAuthority() = default;

std::string ClusterAuthority::Collection(const char* plural) const {
  return absl::StrCat("/api/v1/namespaces/", parts_.name_space, "/", plural);
}

Task<void> ClusterAuthority::Run(StopToken stop) {
  Scope scope(parts_.loop, stop);
  scope.Spawn(secret_->Run(scope.stop()));
  scope.Spawn(roots_->Run(scope.stop()));
  while (!stop.requested()) {
    changed_.Reset();
    if (!secret_->answered() || !roots_->answered()) {
      (void)co_await changed_.Wait(stop);
      continue;
    }
    const absl::Status done = co_await Reconcile(stop);
    Note(done);
    // What waits for somebody goes on as soon as they have acted.
    if (!done.ok() && !absl::IsUnavailable(done) && !absl::IsFailedPrecondition(done)) {
      (void)co_await parts_.loop.Sleep(backoff_.Next(parts_.random), stop);
    }
    Deadline patience(parts_.loop, stop, done.ok() ? kPhaseInterval : kBackoffMax);
    (void)co_await changed_.Wait(patience.token());
  }
  co_await scope.Drain();
}

// What fails the same way again is said once.
void ClusterAuthority::Note(const absl::Status& status) {
  if (status.ok()) {
    backoff_.Reset();
    trouble_.clear();
    return;
  }
  failures_.Add();
  if (std::exchange(trouble_, std::string(status.message())) == trouble_) return;
  LOG_WARN("root.trouble", KV("error", status),
           KV("effect", parts_.authority.has_keys() ? "the last good roots stay in use"
                                                    : "nothing is signed and nobody is served"));
}

Task<absl::Status> ClusterAuthority::Reconcile(StopToken stop) {
  CO_TRY_STATUS(secret_->Known("the Secret heddle-ca"));
  if (secret_->text() == nullptr) co_return co_await CreateSecret(stop);
  lost_since_.reset();
  CO_TRY_STATUS(Adopt());
  CO_TRY_STATUS(co_await AdvanceRotation(stop));
  CO_TRY_STATUS(roots_->Known("the ConfigMap heddle-root"));
  co_return co_await ApplyRoots(stop);
}

// One that was there and is deleted is made again with what it had: its roots are trusted.
Task<absl::Status> ClusterAuthority::CreateSecret(StopToken stop) {
  ca::StoredRoots roots = stored_;
  if (roots.certificate_pem.empty()) {
    CO_TRY_STATUS(roots_->Known("the ConfigMap heddle-root"));
    CO_TRY_STATUS(co_await CheckNoOtherRootIsTrusted(stop));
    if (secret_->text() != nullptr) {
      changed_.Set();
      co_return absl::OkStatus();
    }
    CO_TRY_ASSIGN(roots, ca::MakeRoots(parts_.loop.clock().Wall()));
  }
  kube::ApiRequest request{
      .method = "POST",
      .path = absl::StrCat(Collection("secrets"), "?fieldManager=", kFieldManager),
      .body = ca::NewRootSecret(roots),
      .content_type = "application/json"};
  const absl::Status made = co_await Write(std::move(request), stop);
  // Another controller was faster: its roots come by the watch.
  if (absl::IsAborted(made)) co_return absl::OkStatus();
  CO_TRY_STATUS(made);
  LOG_INFO("root.secret.made", KV("namespace", parts_.name_space),
           KV("again", !stored_.certificate_pem.empty()));
  co_return absl::OkStatus();
}

Task<absl::Status> ClusterAuthority::CheckNoOtherRootIsTrusted(StopToken stop) {
  while (roots_->text() != nullptr && secret_->text() == nullptr &&
         ca::IsTrusted(ca::RootsInConfigMap(*roots_->text()), parts_.loop.clock().Wall())) {
    if (!lost_since_.has_value()) lost_since_ = parts_.loop.Now();
    const absl::Duration wait = *lost_since_ + kLostAfter - parts_.loop.Now();
    if (wait <= absl::ZeroDuration()) {
      co_return absl::FailedPreconditionError(
          "the Secret heddle-ca is gone, and agents trust another root than a new one would be "
          "(the ConfigMap heddle-root): bring the Secret back from a backup; without one, delete "
          "the ConfigMap heddle-root, too, and the mesh begins anew (docs/operations.md)");
    }
    Deadline patience(parts_.loop, stop, wait);
    (void)co_await changed_.Wait(patience.token());
    if (stop.requested()) co_return absl::CancelledError("stopped");
    changed_.Reset();
  }
  lost_since_.reset();
  co_return absl::OkStatus();
}

// What cannot be read changes nothing: the rotation of the last good roots goes on by the clock.
absl::Status ClusterAuthority::Adopt() {
  const absl::Time now = parts_.loop.clock().Wall();
  auto read = ca::ReadRootSecret(*secret_->text());
  const absl::Status usable = read.ok() ? ca::KeysAt(*read, now).status() : read.status();
  if (usable.ok()) stored_ = *std::move(read);
  if (!stored_.certificate_pem.empty()) {
    TRY_ASSIGN(ca::AuthorityKeys keys, ca::KeysAt(stored_, now));
    parts_.authority.LimitLeaves(ca::LeavesEnd(secret_->heard()));
    Use(std::move(keys), ca::PhaseAt(stored_, now));
  }
  return Annotate(usable, "the Secret heddle-ca");
}

void ClusterAuthority::Use(ca::AuthorityKeys keys, ca::RotationPhase phase) {
  ca::CertificateAuthority& authority = parts_.authority;
  const bool same = authority.has_keys() && authority.root() == keys.issuer.root() &&
                    authority.roots_pem() == keys.roots_pem && phase_ == phase;
  phase_ = phase;
  phase_now_.Set(phase == ca::RotationPhase::kDistributing ? 1
                 : phase == ca::RotationPhase::kSwitched   ? 2
                                                           : 0);
  expires_.Set(absl::ToUnixSeconds(keys.issuer.root().not_after()));
  if (same) return;
  LOG_INFO("root.used", KV("root", keys.issuer.root().Fingerprint()),
           KV("rotation", ca::ToString(phase)));
  authority.Use(std::move(keys));
  ready_.Set();
}

Task<absl::Status> ClusterAuthority::AdvanceRotation(StopToken stop) {
  auto next = ca::Advance(stored_, parts_.loop.clock().Wall());
  if (!next.ok()) co_return Annotate(next.status(), "the rotation asked for by heddle.io/rotate");
  if (!next->has_value()) co_return absl::OkStatus();
  CO_TRY_ASSIGN(std::string body, ca::WithRoots(*secret_->text(), **next));
  kube::ApiRequest request{.method = "PUT",
                           .path = absl::StrCat(Collection("secrets"), "/", ca::kSecretName,
                                                "?fieldManager=", kFieldManager),
                           .body = std::move(body),
                           .content_type = "application/json"};
  const absl::Status written = co_await Write(std::move(request), stop);
  // Somebody has written it since: what it says now comes by the watch.
  if (absl::IsAborted(written)) co_return absl::OkStatus();
  CO_TRY_STATUS(written);
  LOG_INFO("root.rotation.stored",
           KV("phase", ca::ToString(ca::PhaseAt(**next, parts_.loop.clock().Wall()))));
  co_return absl::OkStatus();
}

Task<absl::Status> ClusterAuthority::ApplyRoots(StopToken stop) {
  const std::string& wanted = parts_.authority.roots_pem();
  if (roots_->text() != nullptr && ca::RootsInConfigMap(*roots_->text()) == wanted)
    co_return absl::OkStatus();
  const absl::Duration wait = apply_again_ - parts_.loop.Now();
  if (wait > absl::ZeroDuration()) {
    (void)co_await parts_.loop.Sleep(wait, stop);
    // Looked at anew: it may be right by now.
    changed_.Set();
    co_return absl::OkStatus();
  }
  apply_again_ = parts_.loop.Now() + kApplyInterval;
  kube::ApiRequest request{
      .method = "PATCH",
      .path = absl::StrCat(Collection("configmaps"), "/", ca::kRootConfigMapName,
                           "?fieldManager=", kFieldManager, "&force=true"),
      .body = ca::RootConfigMap(wanted),
      .content_type = "application/apply-patch+yaml"};
  CO_TRY_STATUS(co_await Write(std::move(request), stop));
  LOG_INFO("root.published", KV("configmap", ca::kRootConfigMapName));
  co_return absl::OkStatus();
}

Task<absl::Status> ClusterAuthority::Write(kube::ApiRequest request, StopToken stop) {
  const auto answer = co_await parts_.client.Call(request, stop);
  if (!answer.ok()) co_return answer.status();
  if (answer->status / 100 == 2) co_return absl::OkStatus();
  co_return kube::StatusOf(request, *answer);
}

}  // namespace heddle::controlplane
