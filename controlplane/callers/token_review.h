#pragma once

#include <set>
#include <string>
#include <string_view>

#include "controlplane/api/object_store.h"
#include "controlplane/callers/verifier.h"

// What the API server says about a token (authentication.k8s.io/v1 TokenReview), and what follows
// from it. Pure.
namespace heddle::controlplane::callers {

// Whom the tokens of agents are for: the API server refuses them itself, and we refuse its own. The
// chart has the same name.
inline constexpr char kAudience[] = "heddle-controller";

inline constexpr char kTokenReviews[] = "/apis/authentication.k8s.io/v1/tokenreviews";

// The body of the question.
std::string TokenReviewFor(std::string_view token);

// What a token proves, as far as the API server says.
struct ReviewedToken {
  api::NamespacedName account;
  api::NamespacedName pod;  // That the token was made for.
  std::string pod_uid;
  std::string node;  // Where the token says that the pod is; servers before 1.30 do not say.
  bool operator==(const ReviewedToken&) const = default;
};

// Reads the answer: authenticated, for our audience, by an account of `accounts`, made for a pod.
Admission<ReviewedToken> ReadTokenReview(std::string_view answer,
                                         const std::set<api::NamespacedName>& accounts);

// The caller that a reviewed token makes: its pod is there, alive, runs as the token's account, and
// is bound to a node, which is the caller's.
Admission<Caller> CallerOf(const ReviewedToken& token, const api::ObjectStore& objects);

// Why a caller's pod is no reason any more to let it go on.
std::optional<Refusal> WhyGone(const Caller& caller, const api::ObjectStore& objects);

}  // namespace heddle::controlplane::callers
