#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <set>
#include <string>

#include "controlplane/callers/review_cache.h"
#include "controlplane/callers/token_review.h"
#include "controlplane/callers/verifier.h"
#include "lib/base/scope.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane::callers {

// Most questions to the API server at a time, and most tokens that may wait for their turn.
inline constexpr size_t kMaxReviews = 32;
inline constexpr size_t kMaxWaitingReviews = 4096;
inline constexpr absl::Duration kReviewTimeout = absl::Seconds(5);

// Has the API server say whose service-account token a caller shows, and finds the caller's node by
// the pod that the token was made for. What is plainly no token for us is refused without asking.
//
//   token --> claims --> cache --> one question per token at a time --> cache --> its pod, now
//
// Fails closed: without an answer only tokens that the API server took lately are taken
// (ReviewCacheLimits). Those are asked about first, and taken when too many wait: anybody can send
// tokens, and must not keep known agents out. One loop's; Shutdown() before the client's.
class TokenReviewer final : public Verifier {
 public:
  struct Parts {
    io::Loop& loop;
    kube::ApiClient& client;
    const api::ObjectStore& objects;  // As they are now.
    std::set<api::NamespacedName> accounts;
    metrics::Registry& registry;
  };
  explicit TokenReviewer(Parts parts);

  Task<Admission<Caller>> Verify(std::string token, StopToken stop) override;
  std::optional<Refusal> Recheck(const Caller& caller) const override {
    return WhyGone(caller, parts_.objects);
  }

  // Ends the questions under way. Who waits for one is refused.
  Task<void> Shutdown() { co_await scope_.Drain(); }

 private:
  using Verdict = ReviewCache::Verdict;
  // A question that is being asked, and who waits for the answer.
  struct Flight {
    explicit Flight(io::Loop& loop) : landed(loop) {}
    Event landed;
    Verdict verdict = Unexpected<Refusal>(Refusal{});
  };

  // `expires`: what the token says.
  Task<Verdict> Review(std::string token, absl::Time expires, StopToken stop);
  Task<void> Fly(std::string digest, std::string token, absl::Time expires);
  Task<Verdict> Ask(std::string token);
  Task<Verdict> AskInTurn(std::string token, bool known);

  Parts parts_;
  ReviewCache cache_;
  absl::flat_hash_map<std::string, std::shared_ptr<Flight>> flights_;
  size_t asking_ = 0;
  WaitQueue turn_;
  WaitQueue turn_of_known_;  // Of tokens that were taken lately: they go first.
  metrics::Counter asked_;
  metrics::Counter unanswered_;
  metrics::Counter stale_;
  Scope scope_;
};

}  // namespace heddle::controlplane::callers
