#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/frame_allocator.h"
#include "lib/base/wait_queue.h"
#include "lib/http/h2_event.h"
#include "lib/io/stream.h"

namespace heddle::http {

class H2Connection;

// One stream of a connection as an io::Stream: END_STREAM is the orderly end, RST_STREAM is an
// error of ErrorDomain::kHttp2 with its code, and a lost connection is an error, never an orderly
// end.
//
// Flow control: the window of the bytes that a Read returned is given back by the next Read, so
// that a relay's write to the other side is what lets the peer go on. At most one window of bytes
// is buffered here.
// CONNECT (RFC 9113 section 8.5): no byte is delivered or sent before a 2xx response, and none at
// all after another one.
// Lifetime: destroyed before its connection (asserted), with no operation under way. Destroying it
// before both directions have ended resets it.
class H2Stream final : public io::Stream {
 public:
  ~H2Stream() override;
  // Of frames: one that ends leaves no hole between what stays.
  static void* operator new(size_t size) { return AllocateLongLivedFrame(size); }
  static void operator delete(void* stream, size_t size) noexcept { FreeFrame(stream, size); }

  // What the peer sent first: a server's request, or a client's response (empty before it has
  // arrived).
  const Headers& headers() const { return headers_; }
  // The same, for whoever needs them no longer than the stream lives: headers() is empty afterwards.
  Headers TakeHeaders() { return std::exchange(headers_, {}); }
  StreamId id() const { return id_; }

  // Client: waits for the final response. The headers stay valid with the stream.
  Task<io::Result<const Headers*>> Response(StopToken stop);
  // Server: sends the final response's headers, once. With `end` there is no body and no trailers.
  io::Result<void> Respond(const Headers& response, bool end);

  // io::Stream. A Write returns when its bytes stand in the output of the connection.
  Task<io::Result<io::Buffer>> Read(size_t size_hint, StopToken stop) override;
  Task<io::Result<void>> Write(std::span<const uint8_t> data, StopToken stop) override;
  Task<io::Result<void>> ShutdownWrite(StopToken stop) override;
  Task<std::optional<io::Error>> AwaitBroken(StopToken stop) override;
  bool watchable() const override { return true; }
  void Watch(io::ReadWatcher& watcher) override;
  void Unwatch() override;
  // A tunnel's end by error is CONNECT_ERROR (RFC 9113 section 8.5), that of another request CANCEL.
  void Reset() override { Reset(is_connect_ ? ErrorCode::kConnectError : ErrorCode::kCancel); }

  // Resets with a code of the caller's.
  void Reset(ErrorCode code);
  // Ends our direction with trailers; replaces ShutdownWrite.
  io::Result<void> EndWithTrailers(const Headers& trailers);
  // The peer's trailers, once Read has returned the end; empty when it sent none.
  const Headers& trailers() const { return trailers_ == nullptr ? kNone : *trailers_; }

  // Requested when the stream has ended out of order (reset, connection lost): work for it should
  // stop.
  StopToken aborted() { return aborted_.token(); }
  // Why, once aborted.
  const std::optional<io::Error>& failure() const { return failure_; }

 private:
  friend class H2Connection;
  friend class H2ClientConnection;
  friend class H2ServerConnection;
  H2Stream(H2Connection& connection, StreamId id, bool is_connect);

  // Events, from the connection.
  void OnHeaders(Headers headers);
  void OnTrailers(Headers trailers) { trailers_ = std::make_unique<const Headers>(std::move(trailers)); }
  // With `missing`: so many bytes are to follow in the next read of the connection. They have room in the same
  // block, and a reader that waits is told when they have come, or when the stream ends before.
  void OnData(std::span<const uint8_t> data, size_t missing);
  size_t BytesToCome(size_t at_least) const;
  void OnEnd();
  void OnWritten();
  // Ends what has not ended in order.
  void Fail(io::Error error);

  // Whether bytes of the peer may be delivered: always, but on a CONNECT only after a 2xx.
  bool readable() const {
    return !is_connect_ || (response_status_ >= 200 && response_status_ < 300);
  }
  // Whether a Read would return without waiting.
  bool ReadIsReady() const;
  void NotifyReader();
  io::Error FailureFor(io::Op op) const;
  bool ended_in_order() const { return read_ended_ && write_ended_; }
  void ReturnWindow();

  // There are very many: all of it is 160 bytes.
  H2Connection& connection_;
  const StreamId id_;
  uint32_t unreturned_ = 0;  // Bytes that the last Read returned and whose window is still held.
  Headers headers_;
  static const Headers kNone;
  std::unique_ptr<const Headers> trailers_;  // Most streams have none.
  std::vector<io::Buffer> received_;         // Few; one that is watched has none.
  StopSource aborted_;
  io::ReadWatcher* watcher_ = nullptr;
  WaitList read_changed_;
  WaitList write_changed_;  // Also when the stream failed, or a direction has ended.
  std::optional<io::Error> failure_;
  int16_t response_status_ = 0;  // Ours on a server, the peer's on a client.
  const bool is_connect_ : 1;
  bool read_ended_ : 1 = false;   // The peer's END_STREAM has arrived.
  bool write_ended_ : 1 = false;  // EndWrite was called.
  bool write_pending_ : 1 = false;
};

}  // namespace heddle::http
