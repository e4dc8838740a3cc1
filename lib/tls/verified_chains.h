#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/tls/peer_verifier.h"

namespace heddle::tls {

// Chains that were verified, so that the next handshake of the same peer need not verify them
// again: the chain's signatures and the parsing of X.509 are a third of what a handshake costs. That
// the peer holds the leaf's key is proved in each handshake by its CertificateVerify, which nothing
// here replaces. Whom we expect is asked each time, too.
//
// An entry stands for exactly what was verified: the bytes of all certificates presented, the
// roots, and what the peer does with its certificate. Other roots are other entries, so a root that
// is no longer trusted ends them. It counts only while every certificate of the verified chain,
// root included, is valid by the caller's clock. What was refused is not remembered: it is looked
// at each time.
//
// Thread-safe: the workers of a process share one. At most `chains_max` entries (about 500 bytes
// each); the one that was not used for longest goes.
class VerifiedChains {
 public:
  // Peers of a large node: each workload elsewhere that talks to it.
  static constexpr size_t kMaxChains = 4096;

  explicit VerifiedChains(size_t chains_max = kMaxChains) : chains_max_(chains_max) {}

  // What VerifyPeer() says. Only chains of SPIFFE IDs are remembered.
  Result<VerifiedPeer, Refusal> Verify(const TrustRoots& roots, const PeerRule& rule,
                                       PeerRole peer_role, std::span<const std::string_view> chain,
                                       absl::Time now);

  size_t size() const;
  // Chains that did not have to be verified.
  uint64_t hits_total() const;

 private:
  struct Entry {
    std::string key;
    VerifiedChain chain;
  };
  using Entries = std::list<Entry>;

  std::optional<VerifiedChain> Find(const std::string& key, absl::Time now);
  void Remember(std::string key, const VerifiedChain& chain);
  void Erase(Entries::iterator entry);

  const size_t chains_max_;
  mutable std::mutex mutex_;
  Entries entries_;                                                 // The one used last in front.
  absl::flat_hash_map<std::string_view, Entries::iterator> index_;  // By the entries' own keys.
  uint64_t hits_total_ = 0;
};

}  // namespace heddle::tls
