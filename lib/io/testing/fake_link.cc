#include "lib/io/testing/fake_link.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/io/testing/fake_network.h"

namespace heddle::io {
namespace {

constexpr size_t kWindow = 64 * 1024;  // Bytes of one direction between writer and reader; then Write waits.

void Notify(std::optional<WaitQueue>& waiters) {
  if (waiters) waiters->NotifyAll();
}

void NotifyReader(FakeWire& wire) {
  Notify(wire.reader);
  if (wire.watcher != nullptr) std::exchange(wire.watcher, nullptr)->OnReadable();
}

class FakeEnd final : public Connection {
 public:
  FakeEnd(Loop& loop, std::shared_ptr<FakeLink> link, bool client);
  ~FakeEnd() override;

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
  SocketAddress local() const override { return client_ ? link_->client : link_->server; }
  SocketAddress peer() const override { return client_ ? link_->server : link_->client; }

 private:
  bool Readable() const { return reset_ || in_.reset_arrived || in_.end_arrived || !in_.arrived.empty(); }
  bool Writable() const { return reset_ || in_.reset_arrived || out_.Room() > 0; }
  void MaybeBreak();
  Result<Buffer> Take(size_t size_hint);
  Result<size_t> Put(std::span<const uint8_t> data);

  Loop& loop_;
  std::shared_ptr<FakeLink> link_;
  const bool client_;
  FakeWire& in_;
  FakeWire& out_;
  bool reading_ = false;
  bool writing_ = false;
  bool read_ended_ = false;
  bool close_resets_ = false;
  bool reset_ = false;
};

FakeEnd::FakeEnd(Loop& loop, std::shared_ptr<FakeLink> link, bool client)
    : loop_(loop),
      link_(std::move(link)),
      client_(client),
      in_(client ? link_->back : link_->forth),
      out_(client ? link_->forth : link_->back) {
  in_.reader.emplace(loop);
  out_.writer.emplace(loop);
}

FakeEnd::~FakeEnd() {
  CHECK(!reading_ && !writing_ && in_.watcher == nullptr);
  if (close_resets_ && !(read_ended_ && out_.end_sent)) Reset();
  in_.reader_gone = true;
  in_.reader.reset();
  out_.writer.reset();
  if (reset_ || in_.reset_arrived) return;
  // Closing with unread bytes resets, as in the kernel.
  if (!in_.arrived.empty()) {
    out_.Send(FakeWire::Kind::kReset, {});
  } else if (!out_.end_sent) {
    out_.Send(FakeWire::Kind::kEnd, {});
  }
}

// The fault: a middlebox forgets the connection.
void FakeEnd::MaybeBreak() {
  if (reset_ || in_.reset_arrived || !link_->network.Hits(link_->network.faults().reset_one_in)) return;
  in_.reset_arrived = true;
  NotifyReader(in_);
  Notify(out_.writer);
  out_.Send(FakeWire::Kind::kReset, {});
}

Result<Buffer> FakeEnd::Take(size_t size_hint) {
  if (reset_) return std::unexpected(Error::Io(IoCode::kClosed, Op::kRead));
  if (in_.arrived.empty() && in_.reset_arrived) return std::unexpected(Error::Errno(ECONNRESET, Op::kRead));
  if (in_.arrived.empty()) {
    read_ended_ = true;
    return Buffer();
  }
  Buffer buffer = loop_.buffers().Allocate(std::min(size_hint, BufferPool::kBulkMax));
  if (buffer.capacity() == 0) return std::unexpected(Error::Io(IoCode::kLimit, Op::kBuffer));
  auto room = buffer.writable();
  if (link_->network.Hits(link_->network.faults().short_read_one_in)) {
    const size_t most = std::min(room.size(), in_.arrived.size());
    room = room.first(1 + link_->network.simulation().random().Below(most));
  }
  const size_t n = in_.Take(room);
  buffer.Commit(n);
  link_->network.Note(in_.id, "read", n);
  return buffer;
}

void FakeEnd::Watch(ReadWatcher& watcher) {
  CHECK(!reading_ && in_.watcher == nullptr);
  in_.watcher = &watcher;
  if (Readable()) Unwatch();
}

void FakeEnd::Unwatch() {
  if (in_.watcher != nullptr) std::exchange(in_.watcher, nullptr)->OnReadable();
}

Task<Result<Buffer>> FakeEnd::Read(size_t size_hint, StopToken stop) {
  CHECK(!std::exchange(reading_, true) && in_.watcher == nullptr);
  co_await loop_.Yield();
  MaybeBreak();
  bool stopped = stop.requested();
  while (!stopped && !Readable()) stopped = !co_await in_.reader->Wait(stop);
  reading_ = false;
  if (stopped && !reset_) co_return std::unexpected(Error::Stopped(stop.reason(), Op::kRead));
  co_return Take(size_hint);
}

Result<size_t> FakeEnd::Put(std::span<const uint8_t> data) {
  if (reset_) return std::unexpected(Error::Io(IoCode::kClosed, Op::kWrite));
  if (in_.reset_arrived) return std::unexpected(Error::Errno(ECONNRESET, Op::kWrite));
  if (out_.end_sent) return std::unexpected(Error::Errno(EPIPE, Op::kWrite));
  const size_t n = std::min(data.size(), out_.Room());
  out_.Send(FakeWire::Kind::kData, data.first(n));
  return n;
}

Task<Result<void>> FakeEnd::Write(std::span<const uint8_t> data, StopToken stop) {
  CHECK(!std::exchange(writing_, true));
  co_await loop_.Yield();
  MaybeBreak();
  Result<void> result;
  while (result && !data.empty()) {
    bool stopped = stop.requested();
    while (!stopped && !Writable()) stopped = !co_await out_.writer->Wait(stop);
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

Task<Result<void>> FakeEnd::ShutdownWrite(StopToken) {
  CHECK(!writing_);
  if (reset_) co_return std::unexpected(Error::Io(IoCode::kClosed, Op::kShutdown));
  if (in_.reset_arrived) co_return std::unexpected(Error::Errno(ENOTCONN, Op::kShutdown));
  if (!out_.end_sent) out_.Send(FakeWire::Kind::kEnd, {});
  co_return Result<void>();
}

Task<std::optional<Error>> FakeEnd::AwaitBroken(StopToken stop) {
  while (!reset_ && !in_.reset_arrived) {
    if (!co_await in_.reader->Wait(stop)) co_return std::nullopt;
  }
  co_return reset_ ? Error::Io(IoCode::kClosed, Op::kPoll) : Error::Errno(ECONNRESET, Op::kPoll);
}

void FakeEnd::Reset() {
  if (std::exchange(reset_, true)) return;
  if (!in_.reset_arrived) out_.Send(FakeWire::Kind::kReset, {});
  in_.arrived.clear();
  NotifyReader(in_);
  Notify(out_.writer);
}

class FakeAccepted final : public AcceptedConnection {
 public:
  explicit FakeAccepted(std::shared_ptr<FakeLink> link) : link_(std::move(link)) {}
  ~FakeAccepted() override {
    if (link_ == nullptr) return;
    link_->forth.reader_gone = true;
    link_->back.Send(FakeWire::Kind::kReset, {});
  }
  SocketAddress local() const override { return link_->server; }
  SocketAddress peer() const override { return link_->client; }
  std::unique_ptr<Connection> Attach(Loop& loop) override {
    CHECK(link_ != nullptr);
    return std::make_unique<FakeEnd>(loop, std::move(link_), false);
  }

 private:
  std::shared_ptr<FakeLink> link_;
};

}  // namespace

void FakeWire::Send(Kind kind, std::span<const uint8_t> bytes) {
  if (kind != Kind::kData) end_sent = true;
  const MonotonicTime now = network_.simulation().wire().Now();
  MonotonicTime arrives = now + network_.Delay();
  if (!under_way_.empty()) arrives = std::max(arrives, under_way_.back().arrives);
  under_way_.push_back({arrives, kind, std::string(bytes.begin(), bytes.end())});
  bytes_under_way_ += bytes.size();
  network_.Note(id, kind == Kind::kData ? "send" : kind == Kind::kEnd ? "send-end" : "send-reset", bytes.size());
  if (!armed()) Resume();
}

void FakeWire::Resume() {
  if (under_way_.empty() || network_.Partitioned(from_, to_)) return;
  network_.simulation().wire().Arm(*this, under_way_.front().arrives);
}

void FakeWire::OnTimer() {
  if (network_.Partitioned(from_, to_)) return;
  const MonotonicTime now = network_.simulation().wire().Now();
  while (!under_way_.empty() && under_way_.front().arrives <= now) {
    Segment segment = std::move(under_way_.front());
    under_way_.pop_front();
    bytes_under_way_ -= segment.bytes.size();
    Arrive(std::move(segment));
  }
  Resume();
}

void FakeWire::Arrive(Segment segment) {
  if (reset_arrived) return;
  if (segment.kind == Kind::kData && reader_gone) {
    // The peer's kernel answers bytes for nobody with a reset.
    reset_arrived = true;
    reverse->Send(Kind::kReset, {});
    return;
  }
  network_.Note(id, segment.kind == Kind::kReset ? "reset" : segment.kind == Kind::kEnd ? "end" : "arrive",
                segment.bytes.size());
  arrived.insert(arrived.end(), segment.bytes.begin(), segment.bytes.end());
  if (segment.kind == Kind::kEnd) end_arrived = true;
  if (segment.kind == Kind::kReset) {
    reset_arrived = true;
    Notify(reverse->writer);  // The end that reads here writes there.
  }
  NotifyReader(*this);
}

size_t FakeWire::Take(std::span<uint8_t> room) {
  const size_t n = std::min(room.size(), arrived.size());
  const auto end = arrived.begin() + static_cast<ptrdiff_t>(n);
  std::copy(arrived.begin(), end, room.begin());
  arrived.erase(arrived.begin(), end);
  Notify(writer);
  return n;
}

size_t FakeWire::Room() const {
  const size_t used = bytes_under_way_ + arrived.size();
  return used < kWindow ? kWindow - used : 0;
}

FakeLink::FakeLink(FakeNetwork& fake_network, FakeHost& client_host, FakeHost& server_host)
    : network(fake_network),
      forth(fake_network, client_host, server_host),
      back(fake_network, server_host, client_host) {
  forth.reverse = &back;
  back.reverse = &forth;
  forth.id = fake_network.Register(forth);
  back.id = fake_network.Register(back);
}

std::unique_ptr<Connection> MakeClientEnd(Loop& loop, std::shared_ptr<FakeLink> link) {
  return std::make_unique<FakeEnd>(loop, std::move(link), true);
}

std::unique_ptr<AcceptedConnection> MakeServerEnd(std::shared_ptr<FakeLink> link) {
  return std::make_unique<FakeAccepted>(std::move(link));
}

}  // namespace heddle::io
