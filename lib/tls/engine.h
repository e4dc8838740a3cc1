#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lib/tls/context.h"
#include "lib/tls/output_buffer.h"
#include "lib/tls/peer_verifier.h"

struct ssl_st;

namespace heddle::tls {

enum class Role : uint8_t { kClient, kServer };

// Why an engine failed; the code of an io::Error of the domain kTls. The story is in
// TlsEngine::failure().
enum class TlsError : int32_t {
  kProtocol = 1,     // The peer sent something that is not TLS 1.3 or breaks its rules.
  kPeerRefused = 2,  // We did not accept the peer's certificate.
  kAlert = 3,        // The peer ended it with an alert, perhaps because it did not accept ours.
  kUncleanEof = 4,   // The peer's bytes ended without close_notify: data may be missing.
  kLimit = 5,        // A limit of ours, such as on key updates.
};

enum class TlsState : uint8_t {
  kHandshake,    // Not yet agreed: Read and flush output until this changes.
  kOpen,         // Both directions.
  kReadClosed,   // The peer's close_notify was read; we may go on writing.
  kWriteClosed,  // Our close_notify is in the output; we may go on reading.
  kClosed,       // Both.
  kFailed,       // See error() and failure(). What is left in output(), an alert, is worth sending.
};

// Plaintext that Write takes while ciphertext waits in output(): the largest block of bytes that a
// relay moves at once, so that it leaves with one system call.
inline constexpr size_t kMaxPendingOutput = size_t{128} * 1024;
// RFC 8446 section 5.1.
inline constexpr size_t kRecordPlaintextMax = size_t{16} * 1024;
// Messages after the handshake (key updates, session tickets, which we ignore) that a peer may
// send, and one more for each MiB of plaintext it sends: each costs us a key derivation, and an
// honest peer needs a handful.
inline constexpr uint64_t kMaxPostHandshakeMessages = 64;

// One end of a TLS 1.3 connection (RFC 8446) without any I/O: ciphertext in, plaintext out, and
// back.
//
//   in:  Read(ciphertext, plaintext) while there are bytes;  ReceiveEof() at the end of the transport.
//   out: Write(plaintext), CloseNotify(); send output(), then ConsumeOutput(n). Any call can add output.
//
//   kHandshake -> kOpen -> kReadClosed | kWriteClosed -> kClosed;  any but kClosed -> kFailed
//
// A client has its first flight in output() from the start. The peer is verified before kOpen,
// except that a server tells a client that it refuses it only after the client is open: the client
// then reads an alert. Keys are updated before the limit of ContextOptions::records_per_key.
// Memory: a few KiB; buffers for bytes under way exist only while there are such bytes, at most one
// record in and kMaxPendingOutput out.
// Belongs to one thread at a time. Not copied or moved.
class TlsEngine {
 public:
  // `rule` says whom we accept; NoCertificate is for servers only. With HasDnsName a client sends
  // the first name as SNI.
  // What waits in output() stands in blocks of `pool`, which outlives the engine; without one, on the heap.
  TlsEngine(std::shared_ptr<const TlsContext> context, Role role, PeerRule rule,
            io::BufferPool* pool = nullptr);
  ~TlsEngine();
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  struct ReadResult {
    size_t consumed = 0;  // Of the ciphertext. The rest must be passed again.
    size_t produced = 0;  // Of the plaintext.
  };
  // Opens all complete records of `ciphertext` in one pass, as far as `plaintext` has room; a
  // partial record at the end is consumed and kept. When all room was used, call again with more,
  // also without ciphertext. Look at state() afterwards. Bytes after close_notify or a failure are
  // consumed and dropped.
  ReadResult Read(std::span<const uint8_t> ciphertext, std::span<uint8_t> plaintext);
  // The transport has no more bytes. Without close_notify before it, that is a failure
  // (kUncleanEof).
  void ReceiveEof();

  // Part of a record has been taken in and waits for the rest, or plaintext of one for room.
  bool holds_input() const;

  // Seals from the front of `plaintext` into output() and returns how much it took: less than all
  // only when kMaxPendingOutput is reached, so flush and go on. In kOpen and kReadClosed only.
  size_t Write(std::span<const uint8_t> plaintext);
  // Ends our direction. Does nothing in other states than kOpen and kReadClosed.
  void CloseNotify();

  // Ciphertext to send. Valid until the next call of anything but output().
  std::span<const uint8_t> output() const { return output_.bytes(); }
  void ConsumeOutput(size_t n) { output_.Consume(n); }
  // All of it at once, for whoever sends while other calls go on.
  OutputBuffer TakeOutput() { return std::exchange(output_, OutputBuffer(pool_)); }

  TlsState state() const { return state_; }
  bool handshake_done() const {
    return state_ != TlsState::kHandshake && state_ != TlsState::kFailed;
  }
  bool can_write() const { return state_ == TlsState::kOpen || state_ == TlsState::kReadClosed; }

  // After kFailed: the class, and a sentence for a log.
  TlsError error() const { return error_; }
  const std::string& failure() const { return failure_; }

  const PeerRule& rule() const { return rule_; }
  // Once the handshake is done.
  const VerifiedPeer& peer() const { return peer_; }
  std::string_view alpn() const;
  // "TLS_AES_128_GCM_SHA256", "X25519".
  std::string_view cipher() const;
  std::string_view group() const;

 private:
  friend struct EngineCallbacks;
  struct SslDeleter {
    void operator()(ssl_st* ssl) const;
  };

  void SetState(TlsState next);
  void Fail(TlsError error, std::string failure);
  void FailFromLibrary(int ssl_error);
  void Handshake();
  void FinishHandshake();
  size_t ReadRecords(std::span<uint8_t> plaintext);
  void UpdateKeyIfWorn();

  const std::shared_ptr<const TlsContext> context_;
  const PeerRule rule_;
  const Role role_;
  io::BufferPool* const pool_;
  TlsState state_ = TlsState::kHandshake;
  TlsError error_ = TlsError::kProtocol;
  std::unique_ptr<ssl_st, SslDeleter> ssl_;
  std::span<const uint8_t> input_;  // What the BIO reads from; empty between calls.
  OutputBuffer output_;             // What the BIO writes to.
  VerifiedPeer peer_;
  std::string failure_;
  uint64_t plaintext_read_ = 0;
  uint64_t post_handshake_messages_ = 0;
};

}  // namespace heddle::tls
