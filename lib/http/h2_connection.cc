#include "lib/http/h2_connection.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/io/read_size.h"

namespace heddle::http {
namespace {

// What leaves with one write: what a relay reads at once (io::ReadSize) with its frame headers, and control
// frames beside it.
constexpr size_t kOutputBytesMax = io::ReadSize::kLargest + 4096;

// A frame header and one frame's worth of data must fit, and control frames beside them.
size_t OutputSize(size_t pending_write_bytes) {
  constexpr size_t kControlRoom = 2048;
  const size_t size = pending_write_bytes + kControlRoom;
  if (size <= io::BufferPool::kRecord) return io::BufferPool::kRecord;
  return size <= io::BufferPool::kBulk ? io::BufferPool::kBulk : io::BufferPool::kBulkMax;
}
static_assert(io::BufferPool::kRecord >= H2Session::kOutputMin);
static_assert(kOutputBytesMax >= io::ReadSize::kLargest + 9);  // No frame is longer.

// The one reason for which a session resets a stream of an owner's without being asked is its budget.
io::Error ResetError(const H2Event& event) {
  const bool shed = !event.by_peer && event.code == ErrorCode::kEnhanceYourCalm;
  return shed ? io::Error::Io(io::IoCode::kLimit, io::Op::kBuffer)
              : ToError(event.code, io::Op::kStream);
}

}  // namespace

H2Connection::H2Connection(Role role, io::Loop& loop, std::unique_ptr<io::Stream> transport,
                           const H2ConnectionOptions& options)
    : loop_(loop),
      session_(role, options.session, loop.clock(), options.budget),
      options_(options),
      transport_(std::move(transport)),
      idle_since_(loop.Now()),
      ended_(loop),
      settings_(loop),
      pong_(loop),
      output_wanted_(loop),
      streams_changed_(loop),
      scope_(loop) {}

H2Connection::~H2Connection() { CHECK(streams_.empty()); }

Task<void> H2Connection::Run(StopToken stop) {
  scope_.Spawn(ReadLoop());
  scope_.Spawn(WriteLoop());
  scope_.Spawn(KeepAlive());
  if (!co_await ended_.Wait(stop)) End(io::Error::Stopped(stop.reason(), io::Op::kStream));
  co_await scope_.Join();
  co_await CloseTransport();
  transport_.reset();
  while (!streams_.empty()) co_await streams_changed_.Wait({});
}

Task<void> H2Connection::ReadLoop() {
  io::ReadSize size;
  while (!ended()) {
    auto read = co_await transport_->Read(size.hint(), scope_.stop());
    if (ended()) break;
    if (!read) {
      End(read.error());
    } else if (read->empty()) {
      // Without streams an end is in order, whether or not a GOAWAY announced it.
      const bool in_order = streams_.empty() || session_.end();
      orderly_ = in_order && !writing_;
      End(in_order ? std::nullopt
                   : std::optional(io::Error::Io(io::IoCode::kUnexpectedEof, io::Op::kRead)));
    } else {
      size.Note(read->size());
      read_end_ = read->bytes().data() + read->size();
      read_first_ = {};
      read_several_ = false;
      session_.Receive(read->bytes());
      Settle();
    }
  }
}

Task<void> H2Connection::WriteLoop() {
  while (!ended()) {
    io::Buffer buffer;
    if (session_.wants_output()) {
      buffer = loop_.buffers().Allocate(
          std::max(OutputSize(session_.pending_write_bytes()), session_.output_min()));
      if (buffer.capacity() == 0) co_return End(io::Error::Io(io::IoCode::kLimit, io::Op::kBuffer));
      const size_t room = std::min(buffer.capacity(), kOutputBytesMax);
      buffer.Commit(session_.Output(buffer.writable().first(room)));
      Settle();
    }
    if (!buffer.empty()) {
      writing_ = true;
      const auto written = co_await transport_->Write(buffer.bytes(), scope_.stop());
      writing_ = !written;
      if (!written && !ended()) End(written.error());
    } else if (session_.finished()) {
      orderly_ = true;
      End(std::nullopt);
    } else {
      buffer.Release();  // An idle connection holds no memory.
      co_await output_wanted_.Wait(scope_.stop());
    }
  }
}

Task<void> H2Connection::KeepAlive() {
  while (co_await loop_.Sleep(options_.ping_interval, scope_.stop())) {
    pong_.Reset();
    session_.Ping();
    Kick();
    Deadline answer(loop_, scope_.stop(), options_.ping_timeout);
    if (co_await pong_.Wait(answer.token())) continue;
    if (answer.expired()) End(io::Error::Errno(ETIMEDOUT, io::Op::kRead));
    co_return;
  }
}

Task<void> H2Connection::EndAfterCloseTimeout() {
  if (co_await loop_.Sleep(options_.close_timeout, scope_.stop())) End(SessionError());
}

Task<void> H2Connection::CloseTransport() {
  if (!orderly_) co_return transport_->Reset();
  // Our last frames must not be lost to the reset that the kernel sends when a socket with unread
  // bytes is closed: wait for the peer's end.
  Deadline patience(loop_, {}, options_.close_timeout);
  auto done = co_await transport_->ShutdownWrite(patience.token());
  while (done) {
    auto rest = co_await transport_->Read(io::BufferPool::kSmall, patience.token());
    if (rest && rest->empty()) co_return;
    if (!rest) break;
  }
  transport_->Reset();
}

Task<void> H2Connection::FinishDrainAfterNotice() {
  if (!co_await loop_.Sleep(options_.drain_notice_timeout, scope_.stop())) co_return;
  session_.FinishDrain();
  Kick();
}

Task<void> H2Connection::Drain(StopToken stop) {
  if (ended()) co_return;
  if (!std::exchange(draining_, true)) {
    session_.StartDrain();
    scope_.Spawn(FinishDrainAfterNotice());
    Kick();
  }
  while (!ended() && !streams_.empty()) {
    if (co_await streams_changed_.Wait(stop)) continue;
    if (!ended()) Close(ErrorCode::kNoError, "drained");
    co_return;
  }
}

void H2Connection::Close(ErrorCode code, std::string reason) {
  if (ended()) return;
  session_.Close(code, std::move(reason));
  Settle();
}

Task<io::Result<void>> H2Connection::Ready(StopToken stop) {
  if (!co_await settings_.Wait(stop))
    co_return std::unexpected(io::Error::Stopped(stop.reason(), io::Op::kStream));
  if (session_.peer_settings_received()) co_return io::Result<void>();
  co_return std::unexpected(
      failure_.value_or(io::Error::Io(io::IoCode::kUnexpectedEof, io::Op::kStream)));
}

bool H2Connection::usable() const {
  return !ended() && !draining_ && !session_.goaway_received() && !session_.end();
}

absl::Duration H2Connection::idle_time() const {
  return streams_.empty() ? loop_.Now() - idle_since_ : absl::ZeroDuration();
}

void H2Connection::Settle() {
  while (auto event = session_.NextEvent()) Handle(*event);
  // A peer that does not read must not keep a connection that has come to its end.
  const bool closing = session_.end() && !session_.end()->by_peer;
  if (closing && !ended() && !std::exchange(close_timer_started_, true))
    scope_.Spawn(EndAfterCloseTimeout());
  Kick();
}

void H2Connection::Kick() {
  if (session_.wants_output() || session_.finished()) output_wanted_.NotifyAll();
}

void H2Connection::Handle(H2Event& event) {
  using Type = H2Event::Type;
  if (event.type == Type::kSettings) return settings_.Set();
  if (event.type == Type::kPingAck) return pong_.Set();
  if (event.type == Type::kRequest) return OnRequest(event.stream, std::move(event.headers));
  if (event.type == Type::kGoaway) return;
  H2Stream* stream = Find(event.stream);
  if (stream == nullptr) return;
  switch (event.type) {
    case Type::kResponse: return stream->OnHeaders(std::move(event.headers));
    case Type::kTrailers: return stream->OnTrailers(std::move(event.headers));
    case Type::kData: return OnData(*stream, event.data);
    case Type::kEnd: return stream->OnEnd();
    case Type::kReset: return stream->Fail(ResetError(event));
    case Type::kWritten: return stream->OnWritten();
    default: return;
  }
}

// What came of a frame whose rest is in the next read waits for that when others of the tunnel have something to do
// until then: the application gets the frame with one write instead of two. A stream that is alone gets what is there.
void H2Connection::OnData(H2Stream& stream, std::span<const uint8_t> data) {
  if (read_first_ == StreamId{}) read_first_ = stream.id();
  read_several_ |= read_first_ != stream.id();
  const bool last = data.data() + data.size() == read_end_;
  stream.OnData(data, last && read_several_ ? session_.missing_data_bytes() : 0);
}

void H2Connection::End(std::optional<io::Error> failure) {
  if (ended()) return;
  failure_ = failure;
  if (!failure_ && session_.end() && session_.end()->code != ErrorCode::kNoError)
    failure_ = SessionError();
  ended_.Set();
  for (H2Stream* stream : streams_) stream->Fail(failure_.value_or(SessionError()));
  OnEnded();
  settings_.Set();
  streams_changed_.NotifyAll();
  scope_.RequestStop();
}

io::Error H2Connection::SessionError() const {
  const std::optional<H2End>& end = session_.end();
  if (end && end->code != ErrorCode::kNoError) return ToError(end->code, io::Op::kStream);
  const bool by_us = end && !end->by_peer;
  return io::Error::Io(by_us ? io::IoCode::kClosed : io::IoCode::kUnexpectedEof, io::Op::kStream);
}

H2Stream* H2Connection::Find(StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : *found;
}

std::unique_ptr<H2Stream> H2Connection::Adopt(StreamId id, bool is_connect) {
  std::unique_ptr<H2Stream> stream(new H2Stream(*this, id, is_connect));
  streams_.insert(stream.get());
  return stream;
}

void H2Connection::Forget(H2Stream& stream) {
  session_.Release(stream.id());
  streams_.erase(&stream);
  if (streams_.empty()) idle_since_ = loop_.Now();
  streams_changed_.NotifyAll();
  Kick();
}

}  // namespace heddle::http
