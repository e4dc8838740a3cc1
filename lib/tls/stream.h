#pragma once

#include <memory>
#include <span>
#include <string>

#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/io/stream.h"
#include "lib/tls/engine.h"

namespace heddle::tls {

// How long the alert of a failed connection may take to leave. It is a courtesy: the peer's log
// says why.
inline constexpr absl::Duration kAlertTimeout = absl::Seconds(1);

// What a client does with the end of its handshake, which the server waits for.
enum class LastFlight : uint8_t {
  kSend,
  kWithFirstWrite,  // It leaves in one segment with what the caller writes next, and not before.
};

// TLS 1.3 over any stream. Handshake() first; then it is a Stream like any other:
//   - Read's empty buffer means close_notify and nothing else; an end without it is
//     IoCode::kUnexpectedEof.
//   - ShutdownWrite sends close_notify and ends the transport's direction; reading goes on.
//   - What TLS does not like is an error of the domain kTls with a TlsError; failure() has the
//     story.
// Holds buffers of the loop's pool only while there are bytes to hold: an idle stream has none.
//
// Reading can produce output (handshake, alerts) while a Write is under way, so the transport's
// Write has one owner: Flush() is single-flight, and who comes second waits for the flight and then
// looks again. When a flush failed or was stopped, some bytes of a record may be missing, so all
// later ones fail as well.
class TlsStream final : public io::Stream {
 public:
  // As TlsEngine: `rule` says whom we accept.
  TlsStream(io::Loop& loop, std::unique_ptr<io::Stream> transport,
            std::shared_ptr<const TlsContext> context, Role role, PeerRule rule);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Until both sides agree and the peer is verified, or an error. Once, before anything else. The
  // caller sets the deadline.
  Task<io::Result<void>> Handshake(StopToken stop, LastFlight last_flight = LastFlight::kSend);

  Task<io::Result<io::Buffer>> Read(size_t size_hint, StopToken stop) override;
  Task<io::Result<void>> Write(std::span<const uint8_t> data, StopToken stop) override;
  Task<io::Result<void>> ShutdownWrite(StopToken stop) override;
  Task<std::optional<io::Error>> AwaitBroken(StopToken stop) override {
    return transport_->AwaitBroken(stop);
  }
  void Reset() override { transport_->Reset(); }

  // After Handshake().
  const VerifiedPeer& peer() const { return engine_.peer(); }
  std::string_view alpn() const { return engine_.alpn(); }
  std::string_view cipher() const { return engine_.cipher(); }
  // Why the last operation failed, when the error's domain is kTls.
  const std::string& failure() const { return engine_.failure(); }
  io::Stream& transport() { return *transport_; }

 private:
  Task<io::Result<void>> Receive(size_t size_hint, StopToken stop);
  Task<io::Result<void>> Flush(StopToken stop);
  Task<void> FlushAlert(StopToken stop);
  io::Result<io::Buffer> Open();
  io::Error EngineError(io::Op op) const;

  io::Loop& loop_;
  const std::unique_ptr<io::Stream> transport_;
  TlsEngine engine_;
  io::Buffer received_;       // Ciphertext that the engine has not taken yet.
  bool more_inside_ = false;  // The engine filled all the room it had last time.
  bool flushing_ = false;
  WaitQueue flushed_;  // Notified when a flight has ended.
  io::Result<void> flush_result_;
};

}  // namespace heddle::tls
