#include "lib/http/h2_stream.h"

#include <algorithm>
#include <utility>

#include "lib/base/copy_bytes.h"
#include "lib/http/h2_connection.h"

namespace heddle::http {

const Headers H2Stream::kNone;

H2Stream::H2Stream(H2Connection& connection, StreamId id, bool is_connect)
    : connection_(connection), id_(id), is_connect_(is_connect) {}

static_assert(sizeof(H2Stream) <= 160);

H2Stream::~H2Stream() {
  CHECK(!read_changed_.has_waiters() && !write_changed_.has_waiters());
  CHECK(watcher_ == nullptr);
  connection_.Forget(*this);
}

Task<io::Result<const Headers*>> H2Stream::Response(StopToken stop) {
  while (response_status_ == 0) {
    if (failure_) co_return std::unexpected(FailureFor(io::Op::kRead));
    if (!co_await read_changed_.Wait(connection_.loop_, stop)) {
      co_return std::unexpected(io::Error::Stopped(stop.reason(), io::Op::kRead));
    }
  }
  co_return &headers_;
}

io::Result<void> H2Stream::Respond(const Headers& response, bool end) {
  CHECK(response_status_ == 0 && response.status() >= 200);
  // Also when it fails: what the caller does next must fail too, and not be a bug.
  response_status_ = static_cast<int16_t>(response.status());
  write_ended_ = end;
  if (end) write_changed_.NotifyAll();
  if (failure_) return std::unexpected(FailureFor(io::Op::kWrite));
  if (!connection_.session_.Respond(id_, response, end)) {
    return std::unexpected(io::Error::Io(io::IoCode::kClosed, io::Op::kWrite));
  }
  NotifyReader();  // What came on a CONNECT before our answer may be read now.
  connection_.Kick();
  return {};
}

Task<io::Result<io::Buffer>> H2Stream::Read(size_t, StopToken stop) {
  CHECK(!read_changed_.has_waiters() && watcher_ == nullptr);
  ReturnWindow();
  while (true) {
    if (is_connect_ && response_status_ != 0 && !readable()) {
      co_return std::unexpected(io::Error::Io(io::IoCode::kClosed, io::Op::kRead));
    }
    if (readable() && !received_.empty()) {
      io::Buffer buffer = std::move(received_.front());
      received_.erase(received_.begin());
      unreturned_ = static_cast<uint32_t>(buffer.size());
      co_return buffer;
    }
    if (readable() && read_ended_) co_return io::Buffer();
    if (failure_) co_return std::unexpected(FailureFor(io::Op::kRead));
    if (!co_await read_changed_.Wait(connection_.loop_, stop)) {
      co_return std::unexpected(io::Error::Stopped(stop.reason(), io::Op::kRead));
    }
  }
}

bool H2Stream::ReadIsReady() const {
  if (failure_) return true;
  if (!readable()) return is_connect_ && response_status_ != 0;
  return read_ended_ || !received_.empty();
}

void H2Stream::NotifyReader() {
  read_changed_.NotifyAll();
  if (watcher_ != nullptr && ReadIsReady()) Unwatch();
}

void H2Stream::Watch(io::ReadWatcher& watcher) {
  CHECK(!read_changed_.has_waiters() && watcher_ == nullptr);
  // Nothing is read for as long as this lasts, so what was read is done with.
  ReturnWindow();
  if (received_.empty()) received_.shrink_to_fit();
  watcher_ = &watcher;
  if (ReadIsReady()) return Unwatch();
  connection_.session_.Rest(id_);
  connection_.Kick();
}

void H2Stream::Unwatch() {
  if (watcher_ != nullptr) std::exchange(watcher_, nullptr)->OnReadable();
}

Task<io::Result<void>> H2Stream::Write(std::span<const uint8_t> data, StopToken stop) {
  CHECK(!write_pending_ && !write_ended_);
  CHECK(readable());  // No byte on a CONNECT before its 2xx.
  if (failure_) co_return std::unexpected(FailureFor(io::Op::kWrite));
  if (data.empty()) co_return io::Result<void>();
  write_pending_ = true;
  connection_.session_.Write(id_, data);
  connection_.Kick();
  bool stopped = false;
  while (write_pending_ && !failure_ && !stopped) stopped = !co_await write_changed_.Wait(connection_.loop_, stop);
  if (!write_pending_) co_return io::Result<void>();
  write_pending_ = false;
  connection_.session_.CancelWrite(id_);
  if (failure_) co_return std::unexpected(FailureFor(io::Op::kWrite));
  co_return std::unexpected(io::Error::Stopped(stop.reason(), io::Op::kWrite));
}

Task<io::Result<void>> H2Stream::ShutdownWrite(StopToken) { co_return EndWithTrailers({}); }

Task<std::optional<io::Error>> H2Stream::AwaitBroken(StopToken stop) {
  while (!failure_ && !ended_in_order() && co_await write_changed_.Wait(connection_.loop_, stop)) {
  }
  // What becomes of the connection later is nothing to a stream that has ended: its last bytes may
  // still be read.
  if (ended_in_order()) co_return std::nullopt;
  co_return failure_;
}

io::Result<void> H2Stream::EndWithTrailers(const Headers& trailers) {
  CHECK(!write_pending_);
  if (failure_) return std::unexpected(FailureFor(io::Op::kShutdown));
  if (write_ended_) return {};
  write_ended_ = true;
  write_changed_.NotifyAll();
  connection_.session_.EndWrite(id_, trailers);
  connection_.Kick();
  return {};
}

void H2Stream::Reset(ErrorCode code) {
  if (failure_) return;
  connection_.session_.Reset(id_, code);
  connection_.Kick();
  Fail(io::Error::Io(io::IoCode::kClosed, io::Op::kStream));
}

void H2Stream::OnHeaders(Headers headers) {
  headers_ = std::move(headers);
  response_status_ = static_cast<int16_t>(headers_.status());
  NotifyReader();
}

void H2Stream::OnData(std::span<const uint8_t> data, size_t missing) {
  while (!data.empty()) {
    if (received_.empty() || received_.back().writable().empty()) {
      io::BufferPool& pool = connection_.loop_.buffers();
      const size_t size = BytesToCome(data.size());
      io::Buffer block = pool.Allocate(std::min(size + missing, io::BufferPool::kBulkMax));
      // Room for what is to come is not worth a stream.
      if (block.capacity() == 0 && missing > 0)
        block = pool.Allocate(std::min(size, io::BufferPool::kBulkMax));
      if (block.capacity() == 0) {
        connection_.session_.Reset(id_, ErrorCode::kInternalError);
        return Fail(io::Error::Io(io::IoCode::kLimit, io::Op::kBuffer));
      }
      received_.push_back(std::move(block));
    }
    io::Buffer& block = received_.back();
    const size_t fits = std::min(block.writable().size(), data.size());
    CopyBytes(data.first(fits), block.writable().data());
    block.Commit(fits);
    data = data.subspan(fits);
  }
  if (missing == 0) NotifyReader();
}

// Bytes that the session has received and that are not in received_ yet: what came in several frames
// with one read shall leave in one block.
size_t H2Stream::BytesToCome(size_t at_least) const {
  size_t here = unreturned_;
  for (const io::Buffer& block : received_) here += block.size();
  const size_t held = connection_.session_.held_bytes(id_);
  return std::max(at_least, held - std::min(held, here));
}

void H2Stream::OnEnd() {
  read_ended_ = true;
  NotifyReader();
  write_changed_.NotifyAll();
}

void H2Stream::OnWritten() {
  write_pending_ = false;
  write_changed_.NotifyAll();
}

void H2Stream::Fail(io::Error error) {
  if (failure_) return;
  failure_ = error;
  // What came before an orderly end can still be read; of a direction that broke off nothing more.
  if (!read_ended_) received_.clear();
  aborted_.RequestStop();
  NotifyReader();
  write_changed_.NotifyAll();
}

io::Error H2Stream::FailureFor(io::Op op) const {
  io::Error error = *failure_;
  error.op = op;
  return error;
}

void H2Stream::ReturnWindow() {
  if (unreturned_ == 0) return;
  connection_.session_.Consumed(id_, std::exchange(unreturned_, 0));
  connection_.Kick();
}

}  // namespace heddle::http
