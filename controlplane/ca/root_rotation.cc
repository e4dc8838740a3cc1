#include "controlplane/ca/root_rotation.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "lib/base/status.h"

namespace heddle::controlplane::ca {
namespace {

// The margin and ten minutes: shorter steps would leave leaves hardly any life.
constexpr absl::Duration kRotationStepMin = absl::Minutes(70);

constexpr KeyNames kCurrent = {.certificate = "root-cert.pem", .key = "root-key.pem"};
constexpr KeyNames kNext = {.certificate = "next-root-cert.pem", .key = "next-root-key.pem"};

absl::StatusOr<AuthorityKeys> Current(const StoredRoots& stored) {
  return ParseAuthorityKeys(stored.certificate_pem, stored.key_pem, kCurrent);
}

absl::StatusOr<AuthorityKeys> Next(const StoredRoots& stored) {
  return ParseAuthorityKeys(stored.next_certificate_pem, stored.next_key_pem, kNext);
}

absl::StatusOr<StoredRoots> Begin(StoredRoots stored, absl::Time now) {
  if (stored.next_certificate_pem.empty() && stored.next_key_pem.empty()) {
    TRY_ASSIGN(const StoredRoots made, MakeRoots(now));
    stored.next_certificate_pem = made.certificate_pem;
    stored.next_key_pem = made.key_pem;
  }
  TRY_STATUS(Next(stored).status());
  stored.rotation_began = now;
  stored.rotation_step = kRotationStep;
  stored.rotation_asked = false;
  return stored;
}

}  // namespace

const char* ToString(RotationPhase phase) {
  switch (phase) {
    case RotationPhase::kNone: return "none";
    case RotationPhase::kDistributing: return "distributing";
    case RotationPhase::kSwitched: return "switched";
    case RotationPhase::kOver: return "over";
  }
  return "unknown";
}

RotationPhase PhaseAt(const StoredRoots& stored, absl::Time now) {
  if (!stored.rotation_began.has_value()) return RotationPhase::kNone;
  const absl::Duration since = now - *stored.rotation_began;
  if (since < stored.rotation_step) return RotationPhase::kDistributing;
  return since < 2 * stored.rotation_step ? RotationPhase::kSwitched : RotationPhase::kOver;
}

absl::StatusOr<StoredRoots> MakeRoots(absl::Time now) {
  TRY_ASSIGN(const tls::Issuer root, MakeRoot(now));
  StoredRoots stored;
  stored.certificate_pem = root.root().ToPem();
  stored.key_pem = root.key().ToPem();
  return stored;
}

absl::StatusOr<AuthorityKeys> KeysAt(const StoredRoots& stored, absl::Time now) {
  const RotationPhase phase = PhaseAt(stored, now);
  if (phase == RotationPhase::kNone) return Current(stored);
  if (stored.rotation_step < kRotationStepMin) {
    return absl::InvalidArgumentError(
        absl::StrCat("the rotation's step is ", absl::FormatDuration(stored.rotation_step),
                     "; the least is ", absl::FormatDuration(kRotationStepMin)));
  }
  TRY_ASSIGN(AuthorityKeys next, Next(stored));
  AuthorityKeys keys = next;
  if (phase != RotationPhase::kOver) {
    TRY_ASSIGN(AuthorityKeys current, Current(stored));
    const bool switched = phase == RotationPhase::kSwitched;
    keys = switched ? next : current;
    absl::StrAppend(&keys.roots_pem, switched ? current.roots_pem : next.roots_pem);
  }
  keys.leaf_lifetime_max = std::min(keys.leaf_lifetime_max, stored.rotation_step - kRotationMargin);
  return keys;
}

absl::StatusOr<std::optional<StoredRoots>> Advance(const StoredRoots& stored, absl::Time now) {
  const RotationPhase phase = PhaseAt(stored, now);
  if (phase == RotationPhase::kOver) {
    StoredRoots after;
    after.certificate_pem = stored.next_certificate_pem;
    after.key_pem = stored.next_key_pem;
    after.rotation_asked = stored.rotation_asked;
    return after;
  }
  if (!stored.rotation_asked) return std::nullopt;
  if (phase == RotationPhase::kNone) return Begin(stored, now);
  StoredRoots after = stored;
  after.rotation_asked = false;
  return after;
}

}  // namespace heddle::controlplane::ca
