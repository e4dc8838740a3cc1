#include "lib/tls/engine.h"

#include <absl/strings/str_cat.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "lib/base/check.h"
#include "lib/tls/engine_callbacks.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {
namespace {

// Header, content type and tag of a TLS 1.3 record.
constexpr size_t kRecordOverhead = 5 + 1 + 16;

bool IsLegalEdge(TlsState from, TlsState to) {
  switch (from) {
    case TlsState::kHandshake: return to == TlsState::kOpen || to == TlsState::kFailed;
    case TlsState::kOpen:
      return to == TlsState::kReadClosed || to == TlsState::kWriteClosed || to == TlsState::kFailed;
    case TlsState::kReadClosed:
    case TlsState::kWriteClosed: return to == TlsState::kClosed || to == TlsState::kFailed;
    case TlsState::kClosed:
    case TlsState::kFailed: return false;
  }
  return false;
}

// The alert that the peer sent, when that is what BoringSSL's oldest error says: its reasons from
// 1000 on are alerts.
std::optional<int> ReceivedAlert() {
  const uint32_t error = ERR_peek_error();
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || ERR_GET_REASON(error) < SSL_AD_REASON_OFFSET)
    return std::nullopt;
  return ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
}

}  // namespace

void TlsEngine::SslDeleter::operator()(SSL* ssl) const { SSL_free(ssl); }

TlsEngine::TlsEngine(std::shared_ptr<const TlsContext> context, Role role, PeerRule rule,
                     io::BufferPool* pool)
    : context_(std::move(context)),
      rule_(std::move(rule)),
      role_(role),
      pool_(pool),
      ssl_(SSL_new(context_->get())),
      output_(pool) {
  CHECK(ssl_ != nullptr);
  const bool asks = !std::holds_alternative<NoCertificate>(rule_);
  CHECK(asks || role_ == Role::kServer);
  CHECK(!asks || context_->options().roots != nullptr);
  ConnectEngine(ssl_.get(), *this);
  if (role_ == Role::kServer) {
    CHECK(context_->options().credential.has_value());
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
    // A key of the preferred group alone, for each costs its making. A server that does not know the group asks for
    // another one's, which costs a round trip (RFC 8446 section 4.1.4).
    const auto preferred = static_cast<uint16_t>(context_->options().groups.front());
    CHECK(SSL_set1_client_key_shares(ssl_.get(), &preferred, 1));
    const auto* dns = std::get_if<HasDnsName>(&rule_);
    if (dns != nullptr && !dns->names.empty())
      CHECK(SSL_set_tlsext_host_name(ssl_.get(), dns->names.front().c_str()));
  }
  SSL_set_shed_handshake_config(ssl_.get(), 1);
  Handshake();
}

TlsEngine::~TlsEngine() { ERR_clear_error(); }

TlsEngine::ReadResult TlsEngine::Read(std::span<const uint8_t> ciphertext,
                                      std::span<uint8_t> plaintext) {
  input_ = ciphertext;
  if (state_ == TlsState::kHandshake) Handshake();
  ReadResult result;
  if (state_ == TlsState::kOpen || state_ == TlsState::kWriteClosed)
    result.produced = ReadRecords(plaintext);
  // After the end of our reading, what still comes means nothing.
  const bool reading = state_ == TlsState::kHandshake || state_ == TlsState::kOpen ||
                       state_ == TlsState::kWriteClosed;
  result.consumed = reading ? ciphertext.size() - input_.size() : ciphertext.size();
  input_ = {};
  return result;
}

void TlsEngine::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return FinishHandshake();
  const int error = SSL_get_error(ssl_.get(), result);
  if (error != SSL_ERROR_WANT_READ) FailFromLibrary(error);
}

void TlsEngine::FinishHandshake() {
  // A server that ignores ALPN leaves it empty, and then we do not know what it will speak (RFC
  // 7301 section 3.2).
  if (!context_->options().alpn.empty() && alpn().empty()) {
    SSL_send_fatal_alert(ssl_.get(), SSL_AD_NO_APPLICATION_PROTOCOL);
    return Fail(TlsError::kProtocol, "the peer agreed to none of our application protocols (ALPN)");
  }
  SetState(TlsState::kOpen);
}

size_t TlsEngine::ReadRecords(std::span<uint8_t> plaintext) {
  size_t produced = 0;
  // SSL_read clears the queue of errors itself, as SSL_write does.
  while (produced < plaintext.size()) {
    const size_t room = std::min<size_t>(plaintext.size() - produced, INT32_MAX);
    const int result = SSL_read(ssl_.get(), plaintext.data() + produced, static_cast<int>(room));
    if (result > 0) {
      produced += static_cast<size_t>(result);
      plaintext_read_ += static_cast<size_t>(result);
    }
    if (post_handshake_messages_ > kMaxPostHandshakeMessages + (plaintext_read_ >> 20)) {
      SSL_send_fatal_alert(ssl_.get(), SSL_AD_UNEXPECTED_MESSAGE);
      Fail(TlsError::kLimit,
           "the peer sends too many key updates or session tickets for the data between them");
      return produced;
    }
    // The library asks the BIO for no more than the record that it needs, so nothing is left inside it then.
    if (result > 0 && input_.empty() && produced < plaintext.size()) break;
    if (result > 0) continue;
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ) break;
    if (error == SSL_ERROR_ZERO_RETURN) {
      SetState(state_ == TlsState::kOpen ? TlsState::kReadClosed : TlsState::kClosed);
    } else {
      FailFromLibrary(error);
    }
    break;
  }
  return produced;
}

bool TlsEngine::holds_input() const { return SSL_has_pending(ssl_.get()) != 0; }

void TlsEngine::ReceiveEof() {
  switch (state_) {
    case TlsState::kReadClosed:
    case TlsState::kClosed:
    case TlsState::kFailed: return;
    case TlsState::kHandshake:
      return Fail(TlsError::kUncleanEof, "the peer's bytes ended during the TLS handshake");
    case TlsState::kOpen:
    case TlsState::kWriteClosed: break;
  }
  Fail(TlsError::kUncleanEof,
       "the peer's bytes ended without close_notify, so data may be missing");
}

size_t TlsEngine::Write(std::span<const uint8_t> plaintext) {
  CHECK(can_write());
  if (output_.size() >= kMaxPendingOutput) return 0;
  const size_t room = kMaxPendingOutput - output_.size();
  const size_t take = std::min(plaintext.size(), room);
  if (take == 0) return 0;
  output_.Reserve(take + (take / kRecordPlaintextMax + 1) * kRecordOverhead);
  size_t written = 0;
  while (written < take) {
    UpdateKeyIfWorn();
    const size_t record = std::min(take - written, kRecordPlaintextMax);
    const int result = SSL_write(ssl_.get(), plaintext.data() + written, static_cast<int>(record));
    if (result <= 0) {
      FailFromLibrary(SSL_get_error(ssl_.get(), result));
      break;
    }
    written += static_cast<size_t>(result);
  }
  return written;
}

// RFC 8446 section 5.5. Each direction counts by itself, and the peer looks after its own.
void TlsEngine::UpdateKeyIfWorn() {
  if (SSL_get_write_sequence(ssl_.get()) < context_->options().records_per_key) return;
  CHECK(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED));
}

void TlsEngine::CloseNotify() {
  if (!can_write()) return;
  ERR_clear_error();
  // One step of SSL_shutdown: the first call queues close_notify and reads nothing.
  SSL_shutdown(ssl_.get());
  SetState(state_ == TlsState::kOpen ? TlsState::kWriteClosed : TlsState::kClosed);
}

void TlsEngine::SetState(TlsState next) {
  CHECK(IsLegalEdge(state_, next));
  state_ = next;
}

void TlsEngine::Fail(TlsError error, std::string failure) {
  if (state_ == TlsState::kFailed) return;  // The first cause counts.
  error_ = error;
  failure_ = std::move(failure);
  SetState(TlsState::kFailed);
}

void TlsEngine::FailFromLibrary(int ssl_error) {
  const auto alert = ReceivedAlert();
  const std::string_view during = state_ == TlsState::kHandshake ? " during the TLS handshake" : "";
  std::string reason = TakeLibraryError();
  if (alert) {
    return Fail(TlsError::kAlert,
                absl::StrCat("the peer ended the connection", std::string(during), " with alert ",
                             *alert, " (", SSL_alert_desc_string_long(*alert), ")"));
  }
  if (ssl_error != SSL_ERROR_SSL) absl::StrAppend(&reason, " (SSL error ", ssl_error, ")");
  Fail(TlsError::kProtocol,
       absl::StrCat("the peer broke the TLS protocol", std::string(during), ": ", reason));
}

std::string_view TlsEngine::alpn() const {
  const uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view TlsEngine::cipher() const {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
  return cipher == nullptr ? "" : SSL_CIPHER_standard_name(cipher);
}

std::string_view TlsEngine::group() const {
  const char* name = SSL_get_group_name(SSL_get_group_id(ssl_.get()));
  return name == nullptr ? "" : name;
}

}  // namespace heddle::tls
