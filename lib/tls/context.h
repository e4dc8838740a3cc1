#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/tls/certificate.h"
#include "lib/tls/private_key.h"
#include "lib/tls/trust_roots.h"
#include "lib/tls/verified_chains.h"

struct ssl_ctx_st;

namespace heddle::tls {

// Key exchange groups, by the numbers of the TLS registry.
enum class Group : uint16_t {
  kX25519 = 0x001d,
  kP256 = 0x0017,
  kP384 = 0x0018,
  kX25519MlKem768 = 0x11ec
};

// What we present: our leaf with its intermediates (not the root), and the leaf's key.
struct Credential {
  std::vector<Certificate> chain;
  PrivateKey key;
};

struct ContextOptions {
  std::optional<Credential> credential;  // None: a client that presents nothing.
  std::shared_ptr<const TrustRoots>
      roots;  // None: only a server that asks for no certificate can be made.
  // Protocols in order of preference (RFC 7301). Not empty: the peer must agree to one, or the
  // handshake fails.
  std::vector<std::string> alpn;
  // In order of preference; not left to the library's defaults. A client sends a key of the first one.
  std::vector<Group> groups = {Group::kX25519};
  // Records that are sealed with one key before it is updated. AES-GCM allows 2^24.5 (RFC 8446
  // section 5.5).
  uint64_t records_per_key = uint64_t{1} << 23;
  // Chains that need not be verified again; shared with other contexts. None: each is, each time.
  std::shared_ptr<VerifiedChains> verified_chains;
};

// What the connections of one identity have in common: certificate, key, roots, parameters. TLS 1.3
// only, AES-GCM only, no tickets, no resumption, no early data. Immutable, thread-safe; a rotated
// certificate is a new context, and engines made from the old one keep it.
class TlsContext {
 public:
  // `clock` outlives the context. Errors: the key is not the leaf's, an ALPN name or the list of
  // groups is unusable.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Create(ContextOptions options,
                                                                  const Clock& clock);

  const ContextOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }
  ssl_ctx_st* get() const { return context_.get(); }

 private:
  TlsContext(ContextOptions options, const Clock& clock, std::shared_ptr<ssl_ctx_st> context)
      : options_(std::move(options)), clock_(clock), context_(std::move(context)) {}
  ContextOptions options_;
  const Clock& clock_;
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace heddle::tls
