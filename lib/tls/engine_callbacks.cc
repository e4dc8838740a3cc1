#include "lib/tls/engine_callbacks.h"

#include <absl/strings/str_cat.h>
#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

#include "lib/base/check.h"
#include "lib/base/copy_bytes.h"
#include "lib/tls/engine.h"

namespace heddle::tls {

// The static functions behind BoringSSL's function pointers; a friend of the engine.
struct EngineCallbacks {
  static int BioRead(BIO* bio, char* out, int size) {
    BIO_clear_retry_flags(bio);
    std::span<const uint8_t>& input = Engine(bio).input_;
    if (input.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t n = std::min(input.size(), static_cast<size_t>(size));
    CopyBytes(input.first(n), reinterpret_cast<uint8_t*>(out));
    input = input.subspan(n);
    return static_cast<int>(n);
  }

  // Never short: the engine bounds what it seals, and the library bounds what it says on its own.
  static int BioWrite(BIO* bio, const char* data, int size) {
    Engine(bio).output_.Append({reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(size)});
    return size;
  }

  static long BioControl(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static ssl_verify_result_t Verify(SSL* ssl, uint8_t* alert) {
    TlsEngine& engine = Engine(ssl);
    const STACK_OF(CRYPTO_BUFFER)* buffers = SSL_get0_peer_certificates(ssl);
    std::vector<std::string_view> chain;
    for (size_t i = 0; i < (buffers == nullptr ? 0 : sk_CRYPTO_BUFFER_num(buffers)); ++i) {
      const CRYPTO_BUFFER* one = sk_CRYPTO_BUFFER_value(buffers, i);
      chain.emplace_back(reinterpret_cast<const char*>(CRYPTO_BUFFER_data(one)),
                         CRYPTO_BUFFER_len(one));
    }
    const ContextOptions& options = engine.context_->options();
    const PeerRole role = engine.role_ == Role::kServer ? PeerRole::kClient : PeerRole::kServer;
    const absl::Time now = engine.context_->clock().Wall();
    auto peer =
        options.verified_chains != nullptr
            ? options.verified_chains->Verify(*options.roots, engine.rule_, role, chain, now)
            : VerifyPeer(*options.roots, engine.rule_, role, chain, now);
    if (peer) {
      engine.peer_ = *std::move(peer);
      return ssl_verify_ok;
    }
    *alert = AlertOf(peer.error().kind);
    engine.Fail(TlsError::kPeerRefused, std::move(peer.error().sentence));
    return ssl_verify_invalid;
  }

  // RFC 7301 section 3.2: no protocol in common ends the handshake.
  static int SelectAlpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* offered,
                        unsigned size, void*) {
    for (const std::string& ours : Engine(ssl).context_->options().alpn) {
      for (unsigned at = 0; at < size; at += 1u + offered[at]) {
        if (ours.size() != offered[at] ||
            std::memcmp(ours.data(), offered + at + 1, ours.size()) != 0)
          continue;
        *out = offered + at + 1;
        *out_size = offered[at];
        return SSL_TLSEXT_ERR_OK;
      }
    }
    return Engine(ssl).context_->options().alpn.empty() ? SSL_TLSEXT_ERR_NOACK
                                                        : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  static void OnMessage(int is_write, int, int content_type, const void*, size_t, SSL* ssl, void*) {
    if (is_write || content_type != SSL3_RT_HANDSHAKE) return;
    TlsEngine& engine = Engine(ssl);
    if (engine.state_ != TlsState::kHandshake) ++engine.post_handshake_messages_;
  }

  static uint8_t AlertOf(Refusal::Kind kind) {
    switch (kind) {
      case Refusal::Kind::kUnknownAuthority: return SSL_AD_UNKNOWN_CA;
      case Refusal::Kind::kExpired: return SSL_AD_CERTIFICATE_EXPIRED;
      case Refusal::Kind::kWrongUsage: return SSL_AD_UNSUPPORTED_CERTIFICATE;
      case Refusal::Kind::kWrongIdentity: return SSL_AD_CERTIFICATE_UNKNOWN;
      case Refusal::Kind::kBadCertificate: break;
    }
    return SSL_AD_BAD_CERTIFICATE;
  }

  static TlsEngine& Engine(BIO* bio) { return *static_cast<TlsEngine*>(BIO_get_data(bio)); }
  static TlsEngine& Engine(const SSL* ssl) {
    return *static_cast<TlsEngine*>(SSL_get_app_data(ssl));
  }
};

namespace {

// One for the process, never freed: a table of function pointers.
const BIO_METHOD* EngineBio() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "heddle tls engine");
    CHECK(made != nullptr && BIO_meth_set_read(made, EngineCallbacks::BioRead) &&
          BIO_meth_set_write(made, EngineCallbacks::BioWrite) &&
          BIO_meth_set_ctrl(made, EngineCallbacks::BioControl));
    return made;
  }();
  return method;
}

}  // namespace

void InstallEngineCallbacks(SSL_CTX* context) {
  SSL_CTX_set_alpn_select_cb(context, EngineCallbacks::SelectAlpn, nullptr);
  SSL_CTX_set_msg_callback(context, EngineCallbacks::OnMessage);
  SSL_CTX_set_custom_verify(context, SSL_VERIFY_NONE, EngineCallbacks::Verify);
}

void ConnectEngine(SSL* ssl, TlsEngine& engine) {
  BIO* bio = BIO_new(EngineBio());
  CHECK(bio != nullptr);
  BIO_set_data(bio, &engine);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);  // Takes the one reference for both.
  CHECK(SSL_set_app_data(ssl, &engine));
  const bool verify = !std::holds_alternative<NoCertificate>(engine.rule());
  SSL_set_custom_verify(
      ssl, verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE,
      EngineCallbacks::Verify);
}

}  // namespace heddle::tls
