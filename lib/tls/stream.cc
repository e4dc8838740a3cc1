#include "lib/tls/stream.h"

#include <algorithm>

#include "lib/base/check.h"

namespace heddle::tls {
namespace {

using io::Buffer;
using io::BufferPool;
using io::IoCode;
using io::Op;

bool ReadEnded(TlsState state) {
  return state == TlsState::kReadClosed || state == TlsState::kClosed;
}

}  // namespace

TlsStream::TlsStream(io::Loop& loop, std::unique_ptr<io::Stream> transport,
                     std::shared_ptr<const TlsContext> context, Role role, PeerRule rule)
    : loop_(loop),
      transport_(std::move(transport)),
      engine_(std::move(context), role, std::move(rule), &loop.buffers()),
      flushed_(loop) {}

// EOF without close_notify is said in the words of all streams; the rest is TLS's own.
io::Error TlsStream::EngineError(Op op) const {
  if (engine_.error() == TlsError::kUncleanEof) return io::Error::Io(IoCode::kUnexpectedEof, op);
  return {io::ErrorDomain::kTls, op, static_cast<int32_t>(engine_.error())};
}

Task<io::Result<void>> TlsStream::Handshake(StopToken stop, LastFlight last_flight) {
  for (;;) {
    if (engine_.state() == TlsState::kFailed) {
      co_await FlushAlert(stop);
      co_return std::unexpected(EngineError(Op::kHandshake));
    }
    if (engine_.handshake_done() && last_flight == LastFlight::kWithFirstWrite)
      co_return io::Result<void>();
    CO_TRY_VOID(co_await Flush(stop));
    if (engine_.handshake_done()) co_return io::Result<void>();
    CO_TRY_VOID(co_await Receive(BufferPool::kSmall, stop));
    received_.Consume(engine_.Read(received_.bytes(), {}).consumed);
    if (received_.empty()) received_.Release();
  }
}

// Waits for ciphertext, or for the transport's end.
Task<io::Result<void>> TlsStream::Receive(size_t size_hint, StopToken stop) {
  CHECK(received_.empty());
  // Who asks for a record's worth of plaintext shall get it with one read.
  const size_t size = size_hint == kRecordPlaintextMax ? BufferPool::kRecord : size_hint;
  CO_TRY(received_, co_await transport_->Read(size, stop));
  if (received_.empty()) engine_.ReceiveEof();
  co_return io::Result<void>();
}

// Plaintext of what was received; empty when no record is complete.
io::Result<Buffer> TlsStream::Open() {
  // Plaintext is shorter than its records, of which the first may have begun earlier.
  const size_t room = received_.size() + (engine_.holds_input() ? BufferPool::kRecord : 0);
  Buffer plaintext = loop_.buffers().Allocate(std::min(room, BufferPool::kBulkMax));
  if (plaintext.capacity() == 0) return std::unexpected(io::Error::Io(IoCode::kLimit, Op::kRead));
  const auto result = engine_.Read(received_.bytes(), plaintext.writable());
  plaintext.Commit(result.produced);
  received_.Consume(result.consumed);
  if (received_.empty()) received_.Release();
  more_inside_ = plaintext.writable().empty();
  if (plaintext.empty()) plaintext.Release();
  return plaintext;
}

Task<io::Result<Buffer>> TlsStream::Read(size_t size_hint, StopToken stop) {
  for (;;) {
    if (!received_.empty() || more_inside_) {
      CO_TRY(Buffer plaintext, Open());
      // What came before a failure in the same bytes is still good: the failure is told by the next
      // call.
      if (!plaintext.empty()) co_return std::move(plaintext);
    }
    if (ReadEnded(engine_.state())) co_return Buffer();
    if (engine_.state() == TlsState::kFailed) {
      co_await FlushAlert(stop);
      co_return std::unexpected(EngineError(Op::kRead));
    }
    CO_TRY_VOID(co_await Receive(size_hint, stop));
  }
}

Task<io::Result<void>> TlsStream::Write(std::span<const uint8_t> data, StopToken stop) {
  while (!data.empty()) {
    if (engine_.state() == TlsState::kFailed) co_return std::unexpected(EngineError(Op::kWrite));
    if (!engine_.can_write()) co_return std::unexpected(io::Error::Io(IoCode::kClosed, Op::kWrite));
    data = data.subspan(engine_.Write(data));
    CO_TRY_VOID(co_await Flush(stop));
  }
  co_return io::Result<void>();
}

Task<io::Result<void>> TlsStream::ShutdownWrite(StopToken stop) {
  if (engine_.state() == TlsState::kFailed) co_return std::unexpected(EngineError(Op::kShutdown));
  engine_.CloseNotify();
  CO_TRY_VOID(co_await Flush(stop));
  co_return co_await transport_->ShutdownWrite(stop);
}

Task<io::Result<void>> TlsStream::Flush(StopToken stop) {
  for (;;) {
    if (!flush_result_) co_return flush_result_;
    if (flushing_) {
      if (!co_await flushed_.Wait(stop))
        co_return std::unexpected(io::Error::Stopped(stop.reason(), Op::kWrite));
      continue;
    }
    if (engine_.output().empty()) co_return io::Result<void>();
    // Taken out of the engine, which may add to its output while these bytes are on their way.
    const OutputBuffer flight = engine_.TakeOutput();
    flushing_ = true;
    flush_result_ = co_await transport_->Write(flight.bytes(), stop);
    flushing_ = false;
    flushed_.NotifyAll();
  }
}

// The failed connection's alert, as far as the peer takes it. A flight under way takes it along.
Task<void> TlsStream::FlushAlert(StopToken stop) {
  if (flushing_) co_return;
  Deadline soon(loop_, stop, kAlertTimeout);
  (void)co_await Flush(soon.token());
}

}  // namespace heddle::tls
