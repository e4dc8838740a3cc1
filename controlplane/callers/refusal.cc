#include "controlplane/callers/refusal.h"

namespace heddle::controlplane::callers {

const char* ToString(Reason reason) {
  switch (reason) {
    case Reason::kTokenMissing: return "token_missing";
    case Reason::kTokenInvalid: return "token_invalid";
    case Reason::kAudience: return "audience";
    case Reason::kServiceAccount: return "service_account";
    case Reason::kPodUnbound: return "pod_unbound";
    case Reason::kPodGone: return "pod_gone";
    case Reason::kNode: return "node";
    case Reason::kUnavailable: return "unavailable";
  }
  return "unknown";
}

absl::Status StatusOf(const Refusal& refusal) {
  switch (refusal.reason) {
    case Reason::kServiceAccount:
    case Reason::kNode: return absl::PermissionDeniedError(refusal.sentence);
    case Reason::kUnavailable: return absl::UnavailableError(refusal.sentence);
    case Reason::kTokenMissing:
    case Reason::kTokenInvalid:
    case Reason::kAudience:
    case Reason::kPodUnbound:
    case Reason::kPodGone: break;
  }
  return absl::UnauthenticatedError(refusal.sentence);
}

}  // namespace heddle::controlplane::callers
