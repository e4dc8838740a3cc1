#include "lib/io/testing/pipe.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include "lib/base/wait_queue.h"

namespace heddle::io {
namespace {

// One direction, shared by the end that writes and the end that reads.
struct Direction {
  explicit Direction(Loop& loop) : changed(loop) {}

  std::deque<uint8_t> bytes;
  bool ended = false;    // The writer ended in order.
  bool reset = false;    // Either end was reset.
  bool unread = false;   // The reading end is gone.
  ReadWatcher* watcher = nullptr;  // Of the end that reads.
  WaitQueue changed;

  void Notify() {
    changed.NotifyAll();
    if (watcher != nullptr && (ended || reset || !bytes.empty())) std::exchange(watcher, nullptr)->OnReadable();
  }
};

class PipeEnd final : public Connection {
 public:
  PipeEnd(Loop& loop, std::shared_ptr<Direction> in, std::shared_ptr<Direction> out, size_t capacity, size_t read_max)
      : loop_(loop), in_(std::move(in)), out_(std::move(out)), capacity_(capacity), read_max_(read_max) {}
  ~PipeEnd() override;

  Task<Result<Buffer>> Read(size_t size_hint, StopToken stop) override;
  Task<Result<void>> Write(std::span<const uint8_t> data, StopToken stop) override;
  Task<Result<void>> ShutdownWrite(StopToken stop) override;
  Task<std::optional<Error>> AwaitBroken(StopToken stop) override;
  bool watchable() const override { return true; }
  void Watch(ReadWatcher& watcher) override;
  void Unwatch() override;
  void Reset() override;
  void ResetUnlessEnded() override { close_resets_ = true; }
  void LimitUnsent(size_t) override {}
  SocketAddress local() const override { return local_address; }
  SocketAddress peer() const override { return peer_address; }

  SocketAddress local_address;
  SocketAddress peer_address;

 private:
  Result<Buffer> Take(size_t size_hint);
  Result<size_t> Put(std::span<const uint8_t> data);
  bool Readable() const { return reset_ || in_->reset || in_->ended || !in_->bytes.empty(); }
  bool Writable() const { return reset_ || out_->reset || out_->unread || out_->bytes.size() < capacity_; }

  Loop& loop_;
  std::shared_ptr<Direction> in_;
  std::shared_ptr<Direction> out_;
  size_t capacity_;
  size_t read_max_;
  bool reading_ = false;
  bool writing_ = false;
  bool read_ended_ = false;
  bool close_resets_ = false;
  bool reset_ = false;  // By our own side.
};

PipeEnd::~PipeEnd() {
  CHECK(!reading_ && !writing_ && in_->watcher == nullptr);
  if (close_resets_ && !(read_ended_ && out_->ended)) Reset();
  in_->unread = true;
  out_->ended = true;
  in_->Notify();
  out_->Notify();
}

Result<Buffer> PipeEnd::Take(size_t size_hint) {
  if (reset_) return std::unexpected(Error::Io(IoCode::kClosed, Op::kRead));
  if (in_->bytes.empty() && in_->reset) return std::unexpected(Error::Errno(ECONNRESET, Op::kRead));
  if (in_->bytes.empty()) {
    read_ended_ = true;
    return Buffer();
  }
  Buffer buffer = loop_.buffers().Allocate(std::min(size_hint, BufferPool::kBulkMax));
  if (buffer.capacity() == 0) return std::unexpected(Error::Io(IoCode::kLimit, Op::kBuffer));
  const auto room = buffer.writable();
  const size_t n = std::min({in_->bytes.size(), room.size(), read_max_});
  const auto end = in_->bytes.begin() + static_cast<ptrdiff_t>(n);
  std::copy(in_->bytes.begin(), end, room.begin());
  in_->bytes.erase(in_->bytes.begin(), end);
  buffer.Commit(n);
  in_->Notify();
  return buffer;
}

void PipeEnd::Watch(ReadWatcher& watcher) {
  CHECK(!reading_ && in_->watcher == nullptr);
  in_->watcher = &watcher;
  if (Readable()) Unwatch();
}

void PipeEnd::Unwatch() {
  if (in_->watcher != nullptr) std::exchange(in_->watcher, nullptr)->OnReadable();
}

Task<Result<Buffer>> PipeEnd::Read(size_t size_hint, StopToken stop) {
  CHECK(!std::exchange(reading_, true) && in_->watcher == nullptr);
  co_await loop_.Yield();
  bool stopped = stop.requested();
  while (!stopped && !Readable()) stopped = !co_await in_->changed.Wait(stop);
  reading_ = false;
  if (stopped && !reset_) co_return std::unexpected(Error::Stopped(stop.reason(), Op::kRead));
  co_return Take(size_hint);
}

Result<size_t> PipeEnd::Put(std::span<const uint8_t> data) {
  if (reset_) return std::unexpected(Error::Io(IoCode::kClosed, Op::kWrite));
  if (out_->reset) return std::unexpected(Error::Errno(ECONNRESET, Op::kWrite));
  if (out_->unread || out_->ended) return std::unexpected(Error::Errno(EPIPE, Op::kWrite));
  const size_t n = std::min(data.size(), capacity_ - out_->bytes.size());
  out_->bytes.insert(out_->bytes.end(), data.begin(), data.begin() + static_cast<ptrdiff_t>(n));
  out_->Notify();
  return n;
}

Task<Result<void>> PipeEnd::Write(std::span<const uint8_t> data, StopToken stop) {
  CHECK(!std::exchange(writing_, true));
  co_await loop_.Yield();
  Result<void> result;
  while (result && !data.empty()) {
    bool stopped = stop.requested();
    while (!stopped && !Writable()) stopped = !co_await out_->changed.Wait(stop);
    if (stopped && !reset_) {
      result = std::unexpected(Error::Stopped(stop.reason(), Op::kWrite));
      break;
    }
    const Result<size_t> n = Put(data);
    if (n) data = data.subspan(*n);
    if (!n) result = std::unexpected(n.error());
  }
  writing_ = false;
  co_return result;
}

Task<Result<void>> PipeEnd::ShutdownWrite(StopToken) {
  CHECK(!writing_);
  if (reset_) co_return std::unexpected(Error::Io(IoCode::kClosed, Op::kShutdown));
  if (out_->reset) co_return std::unexpected(Error::Errno(ENOTCONN, Op::kShutdown));
  out_->ended = true;
  out_->Notify();
  co_return Result<void>();
}

Task<std::optional<Error>> PipeEnd::AwaitBroken(StopToken stop) {
  while (!reset_ && !in_->reset) {
    if (!co_await in_->changed.Wait(stop)) co_return std::nullopt;
  }
  co_return reset_ ? Error::Io(IoCode::kClosed, Op::kPoll) : Error::Errno(ECONNRESET, Op::kPoll);
}

void PipeEnd::Reset() {
  if (std::exchange(reset_, true)) return;
  // What the peer has not read yet stays readable for it, as with the kernel; then comes the reset.
  for (const auto& direction : {in_, out_}) {
    direction->reset = true;
    direction->Notify();
  }
  in_->bytes.clear();
}

}  // namespace

Pipe MakePipe(Loop& loop, const PipeOptions& options) {
  auto forth = std::make_shared<Direction>(loop);
  auto back = std::make_shared<Direction>(loop);
  auto first = std::make_unique<PipeEnd>(loop, back, forth, options.capacity, options.read_max);
  auto second = std::make_unique<PipeEnd>(loop, forth, back, options.capacity, options.read_max);
  first->local_address = second->peer_address = options.first_address;
  first->peer_address = second->local_address = options.second_address;
  return Pipe{std::move(first), std::move(second)};
}

}  // namespace heddle::io
