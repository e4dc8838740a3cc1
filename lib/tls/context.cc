#include "lib/tls/context.h"

#include <absl/strings/str_cat.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/tls/engine_callbacks.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {
namespace {

constexpr size_t kMaxAlpnNames = 8;
// Most bytes of certificates that a peer may send; a mesh chain has about 2 KiB.
constexpr size_t kMaxPeerChainBytes = size_t{32} * 1024;

constexpr uint16_t kCiphers[] = {SSL_CIPHER_AES_128_GCM_SHA256, SSL_CIPHER_AES_256_GCM_SHA384};

// The names of RFC 7301 section 3.1: each with its length in front.
absl::StatusOr<std::string> AlpnWire(const std::vector<std::string>& names) {
  if (names.size() > kMaxAlpnNames) return absl::InvalidArgumentError("more than 8 ALPN protocols");
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) {
      return absl::InvalidArgumentError(absl::StrCat("not an ALPN protocol: \"", name, "\""));
    }
    wire.push_back(static_cast<char>(name.size()));
    wire += name;
  }
  return wire;
}

void SetFixedParameters(SSL_CTX* context) {
  CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) &&
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION));
  CHECK(SSL_CTX_set1_tls13_ciphers(context, kCiphers, nullptr, std::size(kCiphers)));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_max_cert_list(context, kMaxPeerChainBytes);
}

absl::Status SetCredential(SSL_CTX* context, const Credential& credential) {
  if (credential.chain.empty())
    return absl::InvalidArgumentError("a credential needs a certificate");
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> owned;
  std::vector<CRYPTO_BUFFER*> chain;
  for (const Certificate& certificate : credential.chain) {
    const auto* der = reinterpret_cast<const uint8_t*>(certificate.der().data());
    owned.emplace_back(CRYPTO_BUFFER_new(der, certificate.der().size(), nullptr));
    chain.push_back(owned.back().get());
  }
  if (SSL_CTX_set_chain_and_key(context, chain.data(), chain.size(), credential.key.get(),
                                nullptr)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the certificate of serial ", credential.chain.front().serial(),
                   " cannot be used with its private key: ", TakeLibraryError()));
}

absl::Status SetGroups(SSL_CTX* context, const std::vector<Group>& groups) {
  std::vector<uint16_t> ids;
  ids.reserve(groups.size());
  for (Group group : groups) ids.push_back(static_cast<uint16_t>(group));
  if (!ids.empty() && SSL_CTX_set1_group_ids(context, ids.data(), ids.size()))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the key exchange groups cannot be used: ", TakeLibraryError()));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Create(ContextOptions options,
                                                                     const Clock& clock) {
  TRY_ASSIGN(const std::string alpn, AlpnWire(options.alpn));
  // Without X.509 in the library: chains are verified by VerifyPeer, with our clock and our
  // sentences.
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_with_buffers_method()), SSL_CTX_free);
  CHECK(context != nullptr);
  SetFixedParameters(context.get());
  TRY_STATUS(SetGroups(context.get(), options.groups));
  if (options.credential) TRY_STATUS(SetCredential(context.get(), *options.credential));
  if (options.records_per_key == 0)
    return absl::InvalidArgumentError("records_per_key must not be 0");
  // This one function returns 0 for success.
  CHECK(SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const uint8_t*>(alpn.data()),
                                alpn.size()) == 0);
  InstallEngineCallbacks(context.get());
  return std::shared_ptr<const TlsContext>(
      new TlsContext(std::move(options), clock, std::move(context)));
}

}  // namespace heddle::tls
