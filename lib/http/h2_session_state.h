#pragma once

// Private to this folder: what an H2Session holds. nghttp2's types stay in the .cc files.

#include <absl/container/flat_hash_set.h>

#include <memory>
#include <vector>

#include "lib/base/frame_allocator.h"
#include "lib/http/h2_flood_guard.h"
#include "lib/http/h2_session.h"
#include "lib/http/stream_window.h"
#include "lib/io/read_size.h"

struct nghttp2_session;

namespace heddle::http {

// Our direction of a stream.
enum class SendState : uint8_t {
  kOpen,    // More may be written.
  kEnding,  // END_STREAM waits to be sent, after nothing but trailers.
  kEnded,   // It has been sent.
};

// What is still to be taken, in order. Keeps memory for the next events while that is little: a read makes a few.
class EventQueue {
 public:
  bool empty() const { return events_.empty(); }
  H2Event& front() { return events_[first_]; }
  void push_back(H2Event event) { events_.push_back(std::move(event)); }
  void pop_front() {
    if (++first_ < events_.size()) return;
    first_ = 0;
    events_.clear();
    if (events_.capacity() > kKept) events_.shrink_to_fit();
  }

 private:
  static constexpr size_t kKept = 32;
  std::vector<H2Event> events_;
  size_t first_ = 0;  // Those before it have been taken.
};

struct H2Session::State {
  struct Stream {
    Stream(int32_t id, const H2Options& options, MonotonicTime now)
        : id(id), window(options.stream_window_initial, now) {}

    // Of frames: a connection that ends leaves no holes between what stays.
    static void* operator new(size_t size) { return AllocateLongLivedFrame(size); }
    static void operator delete(void* stream, size_t size) noexcept { FreeFrame(stream, size); }

    // There are very many, so that what is small has small types, and what is rare is a pointer.
    const int32_t id;
    uint32_t held = 0;  // Bytes received and not yet consumed, at most a window; out of the budget.
    StreamWindow window;
    std::span<const uint8_t> pending;         // Given to Write(), not yet taken.
    std::unique_ptr<const Headers> trailers;  // To be sent after the last byte.
    SendState sending = SendState::kOpen;
    bool surfaced = false;      // Our owner knows of the stream: from Open() or kRequest on.
    bool answered = false;      // The final response has been sent (server) or received (client).
    bool remote_ended = false;  // END_STREAM has been received.
    bool deferred = false;      // nghttp2 waits to be told that there is data again.
    bool rest_asked = false;    // When nghttp2 asks for data it is told that none will come, ...
    bool resting = false;       // ... and was: it asks no more, until there is a new request of ours.
    bool reset_by_us = false;   // Our owner asked for it: no event follows.
    bool reset_by_peer = false;
    bool shed = false;      // Reset because its bytes did not fit in the budget.
    bool closed = false;    // nghttp2 has forgotten the stream.
    bool released = false;  // Our owner has.
  };

  // Streams are found by their id.
  struct IdOf {
    using is_transparent = void;
    static int32_t Of(int32_t id) { return id; }
    static int32_t Of(const std::unique_ptr<Stream>& stream) { return stream->id; }
    size_t operator()(const auto& stream) const { return absl::HashOf(Of(stream)); }
    bool operator()(const auto& one, const auto& other) const { return Of(one) == Of(other); }
  };

  State(Role role, const H2Options& options, Clock& clock, ReceiveBudget* budget);
  ~State();

  Stream* Find(int32_t id);
  // Null when the budget is exhausted.
  Stream* Add(int32_t id);
  void Erase(Stream& stream);
  // Accounts for bytes that have come; false when they do not fit.
  bool Hold(Stream& stream, size_t bytes);
  // The owner has taken them, or will not.
  void LetGo(Stream& stream, size_t bytes);
  // Gives the connection's window back, unless its streams hold too much already.
  void ReturnConnectionWindow();
  void Emit(H2Event event) { events.push_back(std::move(event)); }

  // nghttp2 has closed the stream.
  void OnClosed(Stream& stream, ErrorCode code);
  // END_STREAM of the peer.
  void OnRemoteEnd(Stream& stream);
  // END_STREAM of ours has been sent.
  void OnLocalEnd(Stream& stream);
  // The header section in `block` is complete. False when it makes the message malformed.
  bool OnHeaders(int32_t id);
  void SubmitReset(int32_t id, ErrorCode code);
  // Makes nghttp2 ask for what there is to send on the stream.
  void ResumeSending(Stream& stream);

  // Ends the connection: the first reason counts. What is queued in nghttp2 is not sent any more,
  // so that a full queue or a broken session cannot hold back the GOAWAY, which is written here and
  // not by nghttp2.
  void Fail(ErrorCode code, std::string reason);
  void Violate(H2Limit limit);
  void CheckOutboundQueue();
  // How much of `bytes`, of a stream whose turn it is, the next frame takes; when it is more than there is room for,
  // it waits for the next output.
  size_t FrameBytes(int32_t id, size_t bytes);

  const Role role;
  const H2Options options;
  Clock& clock;
  ReceiveBudget* const budget;
  nghttp2_session* session = nullptr;
  FrameScanner scanner;
  FloodGuard guard;
  absl::flat_hash_set<std::unique_ptr<Stream>, IdOf, IdOf> streams;
  EventQueue events;
  std::optional<H2End> end;
  H2Stats stats;

  // Not closed; on a client what counts against the peer's limit, queued requests included.
  size_t open_streams = 0;
  size_t active_streams = 0;  // Not released.
  size_t pending_bytes = 0;   // Of all streams' `pending`.

  // Receiving.
  Headers
      block;  // The header section being decoded. Blocks are contiguous on the wire: one at a time.
  size_t block_bytes = 0;
  // Bytes of DATA whose connection window has not been returned.
  size_t received_data = 0;
  size_t held = 0;  // By all streams.
  bool settings_received = false;
  bool goaway_received = false;

  // Sending.
  std::span<uint8_t> space;  // What Output() has left to fill.
  bool output_begun = false;  // Something stands in it already.
  // A frame of DATA that waits for the next output, where it must fit.
  int32_t waiting_stream = 0;
  size_t waiting_bytes = 0;
  std::span<const uint8_t>
      carry;  // The rest of a frame that did not fit; belongs to nghttp2 until its next send.
  std::vector<uint8_t> farewell;  // Our own GOAWAY; set once.
  bool farewell_sent = false;
  std::vector<int32_t>
      linger;  // Released streams whose end has just been sent: reset the rest after Output.
  bool draining = false;            // First phase: the notice has been sent.
  bool drain_acknowledged = false;  // The peer has seen it.
  bool drained = false;             // Second phase: the last stream has been named.
};

// nghttp2's callbacks; defined with it in h2_callbacks.cc.
nghttp2_session* MakeNghttp2Session(Role role, const H2Options& options, void* state);

// What a peer may send before it has seen our SETTINGS (RFC 9113 section 6.9.2).
inline constexpr size_t kWindowBeforeSettings = 65535;
// RFC 9113 section 6.5.2 suggests not to assume fewer.
inline constexpr uint32_t kPeerMaxStreamsAssumed = 100;
// A DATA frame shortened by the peer's window allows it no further control frames unless it has
// this size, or a peer could feed us windows of one byte for ever (CVE-2019-9511).
inline constexpr size_t kFrameEarnsMin = 1024;
// Shortest frame that is cut to fill the output to its end.
inline constexpr size_t kFrameCutMin = 4096;
// The longest frame for peers that take it: what a relay reads at once, for what comes in one frame leaves it in one
// write. Not more: the others of the connection wait for it.
inline constexpr size_t kBulkFrameBytes = io::ReadSize::kLargest;

// PING payloads, to tell the answers apart.
inline constexpr uint8_t kKeepAlivePing[8] = {'h', 'd', '-', 'a', 'l', 'i', 'v', 'e'};
inline constexpr uint8_t kDrainPing[8] = {'h', 'd', '-', 'd', 'r', 'a', 'i', 'n'};

}  // namespace heddle::http
