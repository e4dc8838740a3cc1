#include "agent/hbone/tunnel.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace heddle::agent {
namespace {

constexpr absl::Duration kSurplusCheckInterval = absl::Seconds(2);

TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& next_hop) {
  const bool timeout = error.is(io::IoCode::kDeadline);
  std::string detail = absl::StrCat(next_hop.ToString(), ": ", error.ToString());
  if (timeout && next_hop.port == kInboundHbonePort) {
    absl::StrAppend(&detail, "; is a NetworkPolicy blocking port ", next_hop.port, "?");
  }
  return {
      {timeout ? FailureReason::kDialTimeout : FailureReason::kDialFailed, FailureSide::kUpstream},
      std::move(detail)};
}

// TLS 1.3 tells a client only after its handshake that the server refuses it, so this also reads
// errors of the first exchange. `secure` is null when it is gone.
TunnelFailure SecureFailure(const io::Error& error, const tls::TlsStream* secure,
                            FailureReason otherwise) {
  FailureReason reason = otherwise;
  if (error.is(io::IoCode::kDeadline)) reason = FailureReason::kTlsTimeout;
  if (error.domain != io::ErrorDomain::kTls)
    return {{reason, FailureSide::kUpstream}, error.ToString()};
  return {{FailureReason::kTlsFailed, FailureSide::kUpstream},
          secure == nullptr ? error.ToString() : secure->failure()};
}

}  // namespace

http::H2ConnectionOptions HboneOptions() {
  http::H2ConnectionOptions options;
  options.session.receive_frame_bytes_max = 1024 * 1024;
  // Of hundreds of connections: when their application dies and comes back every few seconds, that is no attack.
  options.session.resets_received = {.burst = 2000, .per_second = 200};
  return options;
}

Tunnel::Tunnel(io::Loop& loop, PodNetwork& network, const TunnelTarget& target,
               const TunnelOptions& options)
    : loop_(loop),
      network_(network),
      target_(target),
      options_(options),
      changed_(loop),
      scope_(loop) {}

Tunnel::~Tunnel() = default;

Task<TunnelResult<void>> Tunnel::Open(FirstRequest& first, StopToken stop) {
  Deadline dial(loop_, stop, options_.connect_timeout);
  auto transport = co_await network_.DialOut(loop_, target_.next_hop, dial.token());
  if (!transport) co_return std::unexpected(DialFailure(transport.error(), target_.next_hop));
  (*transport)->LimitUnsent(kTunnelUnsentBytesMax);
  Deadline handshake(loop_, stop, options_.handshake_timeout);
  co_return co_await Secure(*std::move(transport), first, handshake.token());
}

Task<TunnelResult<void>> Tunnel::Secure(std::unique_ptr<io::Connection> transport,
                                        FirstRequest& first, StopToken stop) {
  auto secure = std::make_unique<tls::TlsStream>(loop_, std::move(transport), target_.context,
                                                 tls::Role::kClient,
                                                 tls::OneOfIdentities{target_.identities});
  auto agreed = co_await secure->Handshake(stop, tls::LastFlight::kWithFirstWrite);
  if (!agreed) {
    secure->Reset();
    co_return std::unexpected(
        SecureFailure(agreed.error(), secure.get(), FailureReason::kTlsFailed));
  }
  const tls::TlsStream* own = secure.get();
  connection_.emplace(loop_, std::move(secure), options_.http);
  if (first.request != nullptr) {
    auto sent = Request(*first.request);
    if (sent) first.stream = *std::move(sent);
    first.tunnel = this;
  }
  scope_.Spawn(RunConnection());
  auto ready = co_await connection_->Ready(stop);
  if (ready) co_return TunnelResult<void>();
  // Before the connection ends, and its transport with it.
  TunnelFailure failure = SecureFailure(ready.error(), connection_->has_transport() ? own : nullptr,
                                        FailureReason::kHttp2Failed);
  first.stream.reset();
  Close();
  co_await scope_.Join();
  co_return std::unexpected(std::move(failure));
}

Task<void> Tunnel::RunConnection() {
  co_await connection_->Run({});
  ended_ = true;
  changed_.NotifyAll();
}

bool Tunnel::CanOpen() const {
  if (retired_ || !connection_->CanOpen()) return false;
  const size_t ours = options_.http.session.open_streams_max;
  return connection_->peer_max_streams() >= 2 * ours || connection_->active_streams() < kStreamsOfANarrowPeer;
}

absl::Duration Tunnel::Patience(const std::vector<Tunnel*>& peers) const {
  const bool surplus = peers.front() != this && peers.front()->CanOpen();
  return surplus ? options_.surplus_idle_timeout : options_.idle_timeout;
}

Task<void> Tunnel::Serve(const std::vector<Tunnel*>& peers) {
  while (!ended_ && !retired_ && connection_->usable()) {
    const absl::Duration left = Patience(peers) - connection_->idle_time();
    if (left <= absl::ZeroDuration()) break;
    // Whether it is one too many changes without a word: who may be looks now and then.
    const bool may_be_surplus = peers.front() != this;
    Deadline idle(loop_, {}, may_be_surplus ? std::min(left, kSurplusCheckInterval) : left);
    co_await changed_.Wait(idle.token());
  }
  retired_ = true;
  if (!ended_) co_await connection_->Drain(closed_.token());
  co_await scope_.Join();
}

void Tunnel::Retire() {
  retired_ = true;
  changed_.NotifyAll();
}

void Tunnel::Close() {
  Retire();
  closed_.RequestStop();
  connection_->Close(http::ErrorCode::kNoError, "closed");
}

}  // namespace heddle::agent
