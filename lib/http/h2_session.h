#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "lib/base/clock.h"
#include "lib/http/h2_event.h"
#include "lib/http/h2_options.h"
#include "lib/http/receive_budget.h"

namespace heddle::http {

// One HTTP/2 connection without sockets (RFC 9113): bytes and calls in, bytes and events out.
// Framing and HPACK are nghttp2's; limits, stream counting and flow control policy are ours.
// H2Connection moves its bytes.
//
// Use: after Receive() and after Output() take all events with NextEvent(). Nothing is called back;
// a call made while handling an event takes effect with the next Output(). Streams belong to an
// owner from Open() or kRequest until Release().
// Threads: one. Never waits. Nothing that a peer sends is fatal to anything but the session.
class H2Session {
 public:
  // `clock` and `budget` outlive the session. Without a budget what is held is bounded
  // per stream and connection only.
  H2Session(Role role, const H2Options& options, Clock& clock, ReceiveBudget* budget = nullptr);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  // Takes bytes of the peer. kData events point into them. Ignored when the session has ended.
  void Receive(std::span<const uint8_t> bytes);
  // The oldest event that has not been taken.
  std::optional<H2Event> NextEvent();
  // Fills `space` with frames and returns how many bytes it used; 0 means that there is nothing to
  // send. Gathers as much as fits: give at least output_min(), which is kOutputMin unless a longer frame did
  // not fit in the last one.
  size_t Output(std::span<uint8_t> space);
  size_t output_min() const;
  static constexpr size_t kOutputMin = 9 + 16 * 1024;
  // Something waits for Output().
  bool wants_output() const;
  // Bytes given to Write() that have not been taken, of all streams: a hint for the size of the
  // output buffer.
  size_t pending_write_bytes() const;
  // Nothing is left to be said or heard: close the transport (when wants_output() is false).
  bool finished() const;
  // Why the connection ends, once that is known.
  const std::optional<H2End>& end() const;

  // Client: whether Open() would succeed now: the peer's limit, our own, GOAWAY, budget.
  bool CanOpen() const;
  // Client: sends a request. With `end` it has no body. Nothing when CanOpen() is false.
  std::optional<StreamId> Open(const Headers& request, bool end);
  // Server: sends the final response's headers, once per stream. With `end` nothing follows. False
  // when the stream has ended.
  bool Respond(StreamId stream, const Headers& response, bool end);

  // Sends `data`, which stays valid until kWritten, CancelWrite() or the stream's end. One at a
  // time per stream.
  void Write(StreamId stream, std::span<const uint8_t> data);
  void CancelWrite(StreamId stream);
  // Nothing will be written for long: what the library holds for it goes, until there is something. A hint.
  void Rest(StreamId stream);
  // Ends our direction in order, with trailers if any. Not while a Write is under way.
  void EndWrite(StreamId stream, const Headers& trailers = {});
  // The owner has consumed n bytes of kData: the peer may send as many more.
  void Consumed(StreamId stream, size_t n);
  // Ends both directions with RST_STREAM. No event follows for this stream. Idempotent.
  void Reset(StreamId stream, ErrorCode code);
  // The owner is done with the stream; what has not ended is reset. No event follows, the id is not
  // used again.
  void Release(StreamId stream);

  // Sends a PING; the answer is kPingAck. One at a time.
  void Ping();
  // Server: first phase of a graceful end: tells the peer to open no more streams, while those
  // under way on the wire are still served. The second phase, the GOAWAY with the last stream,
  // follows by itself after one round trip; FinishDrain() does it at once. The session is finished
  // when the streams have ended. On a client both send one GOAWAY.
  void StartDrain();
  void FinishDrain();
  // Ends the connection with a GOAWAY; streams under way are lost.
  void Close(ErrorCode code, std::string reason);

  // Streams that have not been released.
  size_t active_streams() const;
  // The peer's MAX_CONCURRENT_STREAMS; 100 until its SETTINGS have arrived.
  uint32_t peer_max_streams() const;
  bool peer_settings_received() const;
  bool goaway_received() const;
  const H2Stats& stats() const;
  // Bytes of kData events of a stream that Consumed() has not been told of, those of events that nobody
  // has taken yet included; 0 when it is unknown.
  size_t held_bytes(StreamId stream) const;
  // When what Receive() took ended within a DATA frame: the bytes of its data that have not come. Else, and of
  // padded frames, 0.
  size_t missing_data_bytes() const;
  // The receive window granted to a stream; 0 when it is unknown.
  size_t stream_window(StreamId stream) const;

 private:
  friend struct H2Callbacks;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heddle::http
