#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>

#include "lib/base/result.h"

namespace heddle::controlplane::callers {

// Why a caller is not let in; a label of the metric, so a closed set.
enum class Reason : uint8_t {
  kTokenMissing,    // No "authorization: Bearer", or two.
  kTokenInvalid,    // Nobody's token, an expired or a revoked one.
  kAudience,        // A token for somebody else: an API server's, another program's.
  kServiceAccount,  // Somebody's, but of no account that agents run as.
  kPodUnbound,      // The token was not made for a pod.
  kPodGone,         // Its pod is not there any more, has ended, or is another one of the same name.
  kNode,            // The token and the pod do not agree on the node.
  kUnavailable,     // The API server does not say.
};
inline constexpr size_t kReasons = static_cast<size_t>(Reason::kUnavailable) + 1;

// "token_missing".
const char* ToString(Reason reason);

struct Refusal {
  Reason reason = Reason::kTokenInvalid;
  std::string sentence;  // What to do, without anything of the token.
  bool operator==(const Refusal&) const = default;
};

// What the caller is told. UNAUTHENTICATED: we do not know who it is. PERMISSION_DENIED: we do, and
// it may not. UNAVAILABLE: it may come back with the same token.
absl::Status StatusOf(const Refusal& refusal);

template <typename T>
using Admission = Result<T, Refusal>;

}  // namespace heddle::controlplane::callers
