#include "controlplane/callers/token_reviewer.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "controlplane/callers/token_claims.h"
#include "lib/base/strings.h"
#include "lib/tls/digest.h"

namespace heddle::controlplane::callers {
namespace {

Unexpected<Refusal> Refuse(Reason reason, std::string sentence) {
  return Unexpected<Refusal>(Refusal{reason, std::move(sentence)});
}

// What the token itself says against it.
std::optional<Refusal> WhyNotForUs(const TokenClaims& claims, absl::Time now) {
  if (std::ranges::find(claims.audiences, kAudience) == claims.audiences.end()) {
    return Refusal{Reason::kAudience,
                   absl::StrCat("this token is not for ", kAudience,
                                ": is --token-file the projected token with that audience?")};
  }
  if (now >= claims.expires) {
    return Refusal{Reason::kTokenInvalid,
                   absl::StrCat("this token has expired at ", absl::FormatTime(claims.expires),
                                "; does the kubelet renew it, and do the clocks agree?")};
  }
  return std::nullopt;
}

}  // namespace

TokenReviewer::TokenReviewer(Parts parts)
    : parts_(std::move(parts)),
      cache_(ReviewCacheLimits{}),
      turn_(parts_.loop),
      turn_of_known_(parts_.loop),
      asked_(parts_.registry, {.name = "heddle_controller_token_reviews",
                               .help = "Questions to the API server about tokens."}),
      unanswered_(parts_.registry, {.name = "heddle_controller_token_reviews_unanswered",
                                    .help = "Those that it did not answer."}),
      stale_(parts_.registry, {.name = "heddle_controller_token_reviews_stale",
                               .help = "Calls that were let in by what the API server said before "
                                       "it could not be asked any more."}),
      scope_(parts_.loop) {}

Task<Admission<Caller>> TokenReviewer::Verify(std::string token, StopToken stop) {
  const std::optional<TokenClaims> claims = ReadClaims(token);
  if (!claims.has_value())
    co_return Refuse(Reason::kTokenInvalid, "this is no token of a service account");
  if (std::optional<Refusal> not_ours = WhyNotForUs(*claims, parts_.loop.clock().Wall()))
    co_return Unexpected<Refusal>(*std::move(not_ours));
  const Verdict verdict = co_await Review(std::move(token), claims->expires, stop);
  if (!verdict.has_value()) co_return Unexpected<Refusal>(verdict.error());
  co_return CallerOf(*verdict, parts_.objects);
}

Task<TokenReviewer::Verdict> TokenReviewer::Review(std::string token, absl::Time expires,
                                                   StopToken stop) {
  const std::string digest = tls::Sha256(token);
  if (std::optional<Verdict> known = cache_.Fresh(digest, parts_.loop.Now())) co_return *known;
  std::shared_ptr<Flight> flight;
  if (const auto under_way = flights_.find(digest); under_way != flights_.end()) {
    flight = under_way->second;
  } else if (flights_.size() >= kMaxReviews + kMaxWaitingReviews) {
    if (std::optional<Verdict> before = cache_.Stale(digest, parts_.loop.Now())) {
      stale_.Add();
      co_return *std::move(before);
    }
    co_return Refuse(Reason::kUnavailable, "too many tokens wait to be checked");
  } else {
    flight = std::make_shared<Flight>(parts_.loop);
    flights_.emplace(digest, flight);
    // Not the caller's own: others wait for it as well, and it may hang up.
    scope_.Spawn(Fly(digest, std::move(token), expires));
  }
  if (!co_await flight->landed.Wait(stop))
    co_return Refuse(Reason::kUnavailable, "the call ended before its token was checked");
  co_return flight->verdict;
}

Task<void> TokenReviewer::Fly(std::string digest, std::string token, absl::Time expires) {
  const bool known = cache_.Stale(digest, parts_.loop.Now()).has_value();
  Verdict verdict = co_await AskInTurn(std::move(token), known);
  const MonotonicTime now = parts_.loop.Now();
  if (verdict.has_value() || verdict.error().reason != Reason::kUnavailable) {
    cache_.Put(digest, verdict, now, expires - parts_.loop.clock().Wall());
  } else if (std::optional<Verdict> before = cache_.Stale(digest, now)) {
    stale_.Add();
    verdict = *std::move(before);
  }
  const auto flight = flights_.extract(digest);
  flight.mapped()->verdict = std::move(verdict);
  flight.mapped()->landed.Set();
}

Task<TokenReviewer::Verdict> TokenReviewer::AskInTurn(std::string token, bool known) {
  const StopToken stop = scope_.stop();
  WaitQueue& turn = known ? turn_of_known_ : turn_;
  while (asking_ == kMaxReviews) {
    if (!co_await turn.Wait(stop)) break;
  }
  if (stop.requested()) co_return Refuse(Reason::kUnavailable, "the controller stops");
  ++asking_;
  Verdict verdict = co_await Ask(std::move(token));
  --asking_;
  (turn_of_known_.has_waiters() ? turn_of_known_ : turn_).NotifyOne();
  co_return verdict;
}

Task<TokenReviewer::Verdict> TokenReviewer::Ask(std::string token) {
  asked_.Add();
  kube::ApiRequest request{.method = "POST",
                           .path = kTokenReviews,
                           .body = TokenReviewFor(token),
                           .content_type = "application/json"};
  Deadline patience(parts_.loop, scope_.stop(), kReviewTimeout);
  const auto answer = co_await parts_.client.Call(request, patience.token());
  if (!answer.ok()) {
    unanswered_.Add();
    co_return Refuse(Reason::kUnavailable,
                     absl::StrCat("the token could not be checked: ", answer.status().message()));
  }
  if (answer->status == 200 || answer->status == 201)
    co_return ReadTokenReview(answer->body, parts_.accounts);
  unanswered_.Add();
  co_return Refuse(Reason::kUnavailable, absl::StrCat("the token could not be checked: ",
                                                      kube::StatusOf(request, *answer).message()));
}

}  // namespace heddle::controlplane::callers
