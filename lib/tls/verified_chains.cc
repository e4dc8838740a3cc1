#include "lib/tls/verified_chains.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "lib/base/strings.h"
#include "lib/tls/digest.h"

namespace heddle::tls {
namespace {

// Each certificate by its own digest, so that where one ends and the next begins counts, too.
std::string KeyOf(const TrustRoots& roots, PeerRole peer_role,
                  std::span<const std::string_view> chain) {
  std::string all = absl::StrCat(roots.digest(), peer_role == PeerRole::kClient ? "c" : "s");
  for (const std::string_view certificate : chain) all += Sha256(certificate);
  return Sha256(all);
}

}  // namespace

Result<VerifiedPeer, Refusal> VerifiedChains::Verify(const TrustRoots& roots, const PeerRule& rule,
                                                     PeerRole peer_role,
                                                     std::span<const std::string_view> chain,
                                                     absl::Time now) {
  const bool by_identity = std::holds_alternative<AnyInTrustDomain>(rule) ||
                           std::holds_alternative<OneOfIdentities>(rule);
  if (!by_identity) return VerifyPeer(roots, rule, peer_role, chain, now);
  std::string key = KeyOf(roots, peer_role, chain);
  if (const auto known = Find(key, now)) return AdmitIdentity(*known, rule);
  TRY(const VerifiedChain verified, VerifySpiffeChain(roots, peer_role, chain, now));
  Remember(std::move(key), verified);
  return AdmitIdentity(verified, rule);
}

std::optional<VerifiedChain> VerifiedChains::Find(const std::string& key, absl::Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  const Entries::iterator entry = found->second;
  // A clock that was set back may come to a time before the chain's: verification says so.
  if (now < entry->chain.valid_from || now >= entry->chain.valid_until) {
    Erase(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  ++hits_total_;
  return entry->chain;
}

void VerifiedChains::Remember(std::string key, const VerifiedChain& chain) {
  const std::lock_guard lock(mutex_);
  if (index_.contains(key)) return;  // Another handshake has meanwhile.
  entries_.push_front({std::move(key), chain});
  index_.emplace(entries_.front().key, entries_.begin());
  if (entries_.size() > chains_max_) Erase(std::prev(entries_.end()));
}

void VerifiedChains::Erase(Entries::iterator entry) {
  index_.erase(entry->key);
  entries_.erase(entry);
}

size_t VerifiedChains::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

uint64_t VerifiedChains::hits_total() const {
  const std::lock_guard lock(mutex_);
  return hits_total_;
}

}  // namespace heddle::tls
