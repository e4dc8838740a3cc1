#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "lib/base/check.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/io/address.h"
#include "lib/io/buffer.h"
#include "lib/io/error.h"

namespace heddle::io {

// Told by a stream that it watches for something to read.
class ReadWatcher {
 public:
  // Called from inside other code, even from Watch() and Unwatch(): it may schedule what is to happen, and no more.
  virtual void OnReadable() = 0;

 protected:
  ~ReadWatcher() = default;
};

// A reliable, ordered, two-way stream of bytes with half-close: TCP, a Unix socket, TLS, an HTTP/2 stream, a
// pipe in memory.
//
// At most one Read and one Write are under way at a time (asserted). A stream belongs to one loop. It is
// destroyed only when no operation is under way: stop the token, await the operation, then destroy. When a stop
// token fires, the operation ends with IoCode::kStopped or kDeadline; a stopped Read has taken no bytes, a
// stopped Write may have sent some, so the stream can only be reset afterwards.
class Stream {
 public:
  virtual ~Stream() = default;

  // Waits for bytes and returns what is there, at most about `size_hint` (a
  // caller that got so many asks for more the next time: ReadSize). An empty Buffer is the orderly end (FIN,
  // close_notify, END_STREAM); an end without that is an error.
  virtual Task<Result<Buffer>> Read(size_t size_hint, StopToken stop) = 0;

  // Sends all of `data`, which stays valid until then. Returns when the stream has taken it; that it waits is the
  // back-pressure.
  virtual Task<Result<void>> Write(std::span<const uint8_t> data, StopToken stop) = 0;

  // Ends our direction in order, after all that was written; the other direction goes on.
  virtual Task<Result<void>> ShutdownWrite(StopToken stop) = 0;

  // Waits, without taking bytes, until the stream has ended out of order: the peer reset it, or it was lost. For
  // whoever cannot read on for now, because the bytes that it has are not taken, and wants to know that the peer has
  // gone. Returns why; empty when stopped, or when both directions have ended in order, so that no more can happen.
  // One at a time, beside a Read and a Write. Reset() ends it.
  virtual Task<std::optional<Error>> AwaitBroken(StopToken stop) = 0;

  // For whoever waits for long, and holds many streams: a watch costs a pointer, where a Read that waits has a frame.
  // Tells `watcher` exactly once: when a Read would not wait (bytes, the end, an error), and otherwise after Unwatch()
  // or Reset(). No Read is under way meanwhile, and the stream is not destroyed before it has told. Only where
  // watchable().
  virtual bool watchable() const { return false; }
  virtual void Watch(ReadWatcher&) { CHECK(false); }
  // Ends the watch, if there is one, on this step or a later one.
  virtual void Unwatch() {}

  // Ends both directions at once, so that the peer sees an error and not an orderly end (RST, RST_STREAM).
  // Operations under way end with IoCode::kClosed on a later step. Idempotent, never waits.
  virtual void Reset() = 0;
};

// A stream of a network: it has two addresses, which are asked of the kernel each time; "[::]:0" once it has none.
class Connection : public Stream {
 public:
  virtual SocketAddress local() const = 0;
  virtual SocketAddress peer() const = 0;

  // For a connection whose peer may take an end for "that was all": from now on until both directions have ended in
  // order, the peer sees a reset when the connection goes, be it destroyed here or closed by the kernel because the
  // process was killed. What was written before an orderly end is still delivered. TCP only; elsewhere without effect.
  virtual void ResetUnlessEnded() = 0;

  // From now on a Write waits while the kernel holds about `bytes` that it could not send yet, so that what is written
  // next is not far from the wire (TCP_NOTSENT_LOWAT, tcp(7)). TCP only; elsewhere without effect.
  virtual void LimitUnsent(size_t bytes) = 0;
};

}  // namespace heddle::io
