#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/tls/context.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

// What the mesh's connections of one identity use: the TLS context with its certificate, key and
// roots (ALPN "h2"). A rotated certificate is a new context, so whoever holds the old one can tell.
struct IdentityCertificate {
  std::shared_ptr<const tls::TlsContext> context;
  absl::Time not_before;
  absl::Time not_after;
};

// The certificates of all identities of this node at one moment. agent/identity makes a new one for
// each change, the proxy reads it. Immutable; thread-safe.
class Certificates {
 public:
  struct Entry {
    std::optional<IdentityCertificate> certificate;
    std::string failure;  // Why there is none (yet), or why it could not be renewed; for operators.
  };
  using Map = absl::flat_hash_map<tls::SpiffeId, Entry>;

  Certificates() = default;
  explicit Certificates(Map entries) : entries_(std::move(entries)) {}

  // What new connections may use at the time `now`; nullptr when there is no certificate, or only
  // one that is not valid then. Connections that are established stay: only the handshake looks at
  // the time.
  const IdentityCertificate* FindValid(const tls::SpiffeId& identity, absl::Time now) const {
    const auto it = entries_.find(identity);
    if (it == entries_.end() || !it->second.certificate) return nullptr;
    const IdentityCertificate& certificate = *it->second.certificate;
    return now >= certificate.not_before && now <= certificate.not_after ? &certificate : nullptr;
  }
  // For dumps.
  const Map& entries() const { return entries_; }

 private:
  Map entries_;
};

}  // namespace heddle::agent
