#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <cstddef>
#include <list>
#include <optional>
#include <string>

#include "controlplane/callers/token_review.h"
#include "lib/base/clock.h"

namespace heddle::controlplane::callers {

struct ReviewCacheLimits {
  // How long the API server's word is taken for what it still says. A revoked token has its pod or
  // account deleted; pods are looked at without a cache.
  absl::Duration admitted_age_max = absl::Seconds(60);
  // Somebody who is refused may become somebody who is not: an account is added to the list. Long
  // enough that a caller which does not wait between its attempts asks the API server seldom.
  absl::Duration refused_age_max = absl::Seconds(10);
  // When the API server does not answer, what it said within this time still counts: an upgrade or
  // restart of it must not cut agents off that it knew. Unknown tokens are refused as ever.
  absl::Duration stale_age_max = absl::Minutes(15);
  // Two generations of tokens for as many nodes as there may be connections.
  size_t admitted_max = 20'000;
  // Anybody can send tokens: they must not push out those of agents, so they are kept apart.
  size_t refused_max = 4096;
};

// What the API server has said about tokens, by their SHA-256. Nothing outlives the token itself.
// One loop's.
class ReviewCache {
 public:
  explicit ReviewCache(const ReviewCacheLimits& limits) : limits_(limits) {}

  using Verdict = Admission<ReviewedToken>;
  // A verdict that counts as if it were just given.
  std::optional<Verdict> Fresh(const std::string& digest, MonotonicTime now);
  // One that counts while nobody can be asked. Admissions only.
  std::optional<Verdict> Stale(const std::string& digest, MonotonicTime now);
  // `left` is how long the token itself is valid.
  void Put(const std::string& digest, const Verdict& verdict, MonotonicTime now,
           absl::Duration left);
  size_t size() const { return admitted_.by_digest.size() + refused_.by_digest.size(); }

 private:
  struct Entry {
    std::string digest;
    Verdict verdict;
    MonotonicTime reviewed;
    MonotonicTime expires;
  };
  // Oldest review first.
  struct Table {
    std::list<Entry> entries;
    absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_digest;
    const Entry* Find(const std::string& digest) const;
    void Erase(const std::string& digest);
    void Add(Entry entry, size_t max);
  };

  const ReviewCacheLimits limits_;
  Table admitted_;
  Table refused_;
};

}  // namespace heddle::controlplane::callers
