#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>

#include "lib/base/scope.h"
#include "lib/base/wait_queue.h"
#include "lib/http/h2_session.h"
#include "lib/http/h2_stream.h"
#include "lib/io/buffer.h"
#include "lib/io/loop.h"
#include "lib/io/stream.h"

namespace heddle::http {

struct H2ConnectionOptions {
  H2Options session;
  // Keep-alive: a PING this long after the last one was answered, and the connection is lost
  // (ETIMEDOUT) when no answer comes.
  absl::Duration ping_interval = absl::Seconds(10);
  absl::Duration ping_timeout = absl::Seconds(20);
  // How long the last frames (GOAWAY) and the orderly end of the transport may take.
  absl::Duration close_timeout = absl::Seconds(1);
  // How long the first phase of a drain lasts when the peer does not answer.
  absl::Duration drain_notice_timeout = absl::Seconds(1);
  ReceiveBudget* budget = nullptr;
};

// An HTTP/2 connection over a stream of bytes: one reader, one writer that gathers, keep-alive.
// Base of the client's and the server's connection, which differ in who opens streams.
//
// Lifetime: construct, run Run() in a scope of the owner's, destroy after Run() has ended. Run()
// ends when the connection has ended (in order, by error, or by its stop token) and the last
// H2Stream has been destroyed: streams fail by themselves when the connection does. Threads: one
// loop.
class H2Connection {
 public:
  virtual ~H2Connection();
  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  // A stop request ends the connection at once: streams fail, the transport is reset. For a
  // graceful end call Drain().
  Task<void> Run(StopToken stop);

  // Graceful end: no new streams, those under way may end until `stop` fires; then the rest fails.
  // Returns when no stream is left or `stop` has fired; the connection closes by itself afterwards.
  // On a server with a two-phase GOAWAY.
  Task<void> Drain(StopToken stop);
  // Ends the connection at once with a GOAWAY that carries the reason.
  void Close(ErrorCode code, std::string reason);

  // Waits for the peer's first SETTINGS, so that peer_max_streams() is the peer's word.
  Task<io::Result<void>> Ready(StopToken stop);

  io::Loop& loop() { return loop_; }
  size_t active_streams() const { return streams_.size(); }
  uint32_t peer_max_streams() const { return session_.peer_max_streams(); }
  // False once the connection has ended or is about to: no new streams.
  bool usable() const;
  // How long there has been no stream; zero while there is one.
  absl::Duration idle_time() const;
  // False some time after it has ended: the transport that was given to it is gone. It can end as soon as it runs.
  bool has_transport() const { return transport_ != nullptr; }
  // Why the connection ended; empty while it has not, or when it ended in order.
  const std::optional<io::Error>& failure() const { return failure_; }
  // The longer story, when HTTP/2 itself was the reason.
  const std::optional<H2End>& end() const { return session_.end(); }
  const H2Stats& stats() const { return session_.stats(); }

 protected:
  H2Connection(Role role, io::Loop& loop, std::unique_ptr<io::Stream> transport,
               const H2ConnectionOptions& options);

  H2Stream* Find(StreamId id);
  std::unique_ptr<H2Stream> Adopt(StreamId id, bool is_connect);
  // Takes the session's events and wakes the writer when there is something to send.
  void Settle();
  void Kick();
  bool ended() const { return ended_.set(); }

  io::Loop& loop_;
  H2Session session_;

 private:
  friend class H2Stream;
  // Server: a new stream; clients have none.
  virtual void OnRequest(StreamId id, Headers headers) = 0;
  // The connection has ended: nobody comes any more.
  virtual void OnEnded() = 0;

  Task<void> ReadLoop();
  Task<void> WriteLoop();
  Task<void> KeepAlive();
  Task<void> FinishDrainAfterNotice();
  Task<void> EndAfterCloseTimeout();
  Task<void> CloseTransport();
  void Handle(H2Event& event);
  void OnData(H2Stream& stream, std::span<const uint8_t> data);
  // Ends the connection: the first reason counts.
  void End(std::optional<io::Error> failure);
  // What streams under way learn when the session has come to its end.
  io::Error SessionError() const;
  void Forget(H2Stream& stream);

  // Streams are found by their id.
  struct IdOf {
    using is_transparent = void;
    static StreamId Of(StreamId id) { return id; }
    static StreamId Of(const H2Stream* stream) { return stream->id(); }
    size_t operator()(const auto& stream) const { return absl::HashOf(Of(stream)); }
    bool operator()(const auto& one, const auto& other) const { return Of(one) == Of(other); }
  };

  const H2ConnectionOptions options_;
  std::unique_ptr<io::Stream> transport_;
  absl::flat_hash_set<H2Stream*, IdOf, IdOf> streams_;
  // Of the read that is being handled.
  const uint8_t* read_end_ = nullptr;
  StreamId read_first_{};      // Whose data came first in it; none yet: 0.
  bool read_several_ = false;  // It has data of more than one stream.
  std::optional<io::Error> failure_;
  bool orderly_ = false;  // The transport can be ended in order.
  bool writing_ = false;  // A write is under way, or was broken off.
  bool draining_ = false;
  bool close_timer_started_ = false;
  MonotonicTime idle_since_;
  Event ended_;
  Event settings_;
  Event pong_;
  WaitQueue output_wanted_;
  WaitQueue streams_changed_;  // A stream has gone.
  Scope scope_;
};

// The side that sends requests.
class H2ClientConnection final : public H2Connection {
 public:
  H2ClientConnection(io::Loop& loop, std::unique_ptr<io::Stream> transport,
                     const H2ConnectionOptions& options = {})
      : H2Connection(Role::kClient, loop, std::move(transport), options) {}

  // Whether Open() would succeed now.
  bool CanOpen() const { return usable() && session_.CanOpen(); }
  // Sends a request; never waits. With `end` it has no body. IoCode::kLimit when the peer's or our
  // limit of streams is reached, IoCode::kClosed when the connection takes no more: open another
  // connection. Other errors: the connection's.
  io::Result<std::unique_ptr<H2Stream>> Open(const Headers& request, bool end = false);
  // Open() and the wait for the response's headers, which are stream->headers().
  Task<io::Result<std::unique_ptr<H2Stream>>> Request(Headers request, bool end, StopToken stop);

 private:
  void OnRequest(StreamId, Headers) override { CHECK(false); }
  void OnEnded() override {}
};

// The side that answers.
class H2ServerConnection final : public H2Connection {
 public:
  H2ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> transport,
                     const H2ConnectionOptions& options = {});
  ~H2ServerConnection() override;

  // The next request, stream->headers(). Null when the connection has ended or `stop` fired.
  // Requests that were reset before somebody accepted them are dropped here. At most
  // max_concurrent_streams wait.
  Task<std::unique_ptr<H2Stream>> Accept(StopToken stop);

 private:
  void OnRequest(StreamId id, Headers headers) override;
  void OnEnded() override;

  std::deque<std::unique_ptr<H2Stream>> waiting_;
  WaitQueue accept_changed_;
};

}  // namespace heddle::http
