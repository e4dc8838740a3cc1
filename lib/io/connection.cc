#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "lib/base/frame_allocator.h"
#include "lib/io/operation_awaiter.h"
#include "lib/io/socket.h"

namespace heddle::io {
namespace {

// Keep-alive of every hop, the values that ztunnel uses: a silent peer is noticed after half an hour.
constexpr int kKeepAliveIdleSeconds = 180;
constexpr int kKeepAliveIntervalSeconds = 180;
constexpr int kKeepAliveProbes = 9;

// io_uring's polls also end with the peer's FIN (it adds POLLRDHUP to what is asked): after it, errors are looked for
// by timer.
constexpr absl::Duration kHalfClosedCheckInterval = absl::Milliseconds(500);

// So much of a connection is sent in one turn of its loop without a wait for the reactor: then others have their turn,
// however fast the peer is.
constexpr size_t kSentAtOnceMax = 256 * 1024;

// Longer writes are bulk flows': what of them the socket does not take at once would be tried twice.
constexpr size_t kSmallWriteMax = BufferPool::kRecord;

SocketAddress AddressOf(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (get(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return SocketAddress::FromKernel(address).value_or(SocketAddress{});
}

class SocketConnection final : public Connection {
 public:
  SocketConnection(Loop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  ~SocketConnection() override;
  // Of frames: one that ends leaves no hole between what stays.
  static void* operator new(size_t size) { return AllocateLongLivedFrame(size); }
  static void operator delete(void* connection, size_t size) noexcept { FreeFrame(connection, size); }

  Task<Result<Buffer>> Read(size_t size_hint, StopToken stop) override;
  Task<Result<void>> Write(std::span<const uint8_t> data, StopToken stop) override;
  Task<Result<void>> ShutdownWrite(StopToken stop) override;
  Task<std::optional<Error>> AwaitBroken(StopToken stop) override;
  bool watchable() const override { return true; }
  void Watch(ReadWatcher& watcher) override;
  void Unwatch() override { Cancel(&readiness_); }
  void Reset() override;
  void ResetUnlessEnded() override;
  void LimitUnsent(size_t bytes) override;
  SocketAddress local() const override { return LocalAddress(fd_.get()); }
  SocketAddress peer() const override { return PeerAddress(fd_.get()); }

 private:
  // The kernel's word that there is something to read, for the watcher.
  class Readiness final : public PollOperation {
   public:
    ReadWatcher* watcher = nullptr;

   private:
    void OnComplete(int32_t) override { std::exchange(watcher, nullptr)->OnReadable(); }
  };

  void SetCloseResets(bool on);
  Error TakeError();
  Result<size_t> SendNow(std::span<const uint8_t> data);
  // Ends the operation that is under way, on a later step.
  void Cancel(Operation* operation) {
    if (operation != nullptr && operation->in_flight()) loop_.reactor().Cancel(*operation);
  }

  // There are very many: all of it is 128 bytes.
  Loop& loop_;
  ReceiveOperation* reading_ = nullptr;
  SendOperation* writing_ = nullptr;
  StopSource* watch_ = nullptr;  // Of AwaitBroken.
  Readiness readiness_;
  UniqueFd fd_;
  std::optional<Error> broken_;  // The kernel tells an error of a socket once.
  uint32_t turn_ = 0;          // Of the loop, in which there was a write last, and ...
  uint32_t sent_in_turn_ = 0;  // ... how much was sent in it without a wait.
  bool drained_ = false;       // The last read took all there was.
  bool read_ended_ = false;
  bool write_ended_ = false;
  bool close_resets_ = false;
  bool reset_ = false;
};

static_assert(sizeof(SocketConnection) <= 128);

SocketConnection::~SocketConnection() {
  CHECK(reading_ == nullptr && writing_ == nullptr && watch_ == nullptr && !readiness_.in_flight());
  loop_.reactor().Forget(fd_.get());
}

Task<Result<Buffer>> SocketConnection::Read(size_t size_hint, StopToken stop) {
  CHECK(reading_ == nullptr && !readiness_.in_flight());
  if (reset_) co_return std::unexpected(Error::Io(IoCode::kClosed, Op::kRead));
  if (broken_) co_return std::unexpected(*broken_);
  OperationAwaiter<ReceiveOperation> receive(loop_, stop);
  receive.fd = fd_.get();
  receive.size_hint = size_hint;
  receive.wait_first = drained_;
  reading_ = &receive;
  const int32_t result = co_await receive;
  reading_ = nullptr;
  drained_ = receive.drained;
  if (reset_) co_return std::unexpected(Error::Io(IoCode::kClosed, Op::kRead));
  if (result < 0) co_return std::unexpected(FailureOf(result, Op::kRead, stop));
  // AwaitBroken was told of the error while this began: to whoever comes next the kernel says "end".
  if (result == 0 && broken_) co_return std::unexpected(*broken_);
  if (result == 0) {
    read_ended_ = true;
    if (write_ended_) SetCloseResets(false);
  }
  co_return std::move(receive.buffer);
}

// What the socket takes without a wait, which nearly always is all: the writer then goes on in the same turn. 0 when
// that is for the reactor.
Result<size_t> SocketConnection::SendNow(std::span<const uint8_t> data) {
  const auto turn = static_cast<uint32_t>(loop_.stats().turns_total.load(std::memory_order_relaxed));
  if (std::exchange(turn_, turn) != turn) sent_in_turn_ = 0;
  if (data.size() > kSmallWriteMax || sent_in_turn_ + data.size() > kSentAtOnceMax) return 0;
  const ssize_t sent = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return std::unexpected(Error::Errno(errno, Op::kWrite));
  if (sent < 0) return 0;
  sent_in_turn_ += static_cast<uint32_t>(sent);
  return static_cast<size_t>(sent);
}

Task<Result<void>> SocketConnection::Write(std::span<const uint8_t> data, StopToken stop) {
  CHECK(writing_ == nullptr);
  if (broken_ && !reset_) co_return std::unexpected(*broken_);
  if (!data.empty() && !reset_ && !stop.requested()) {
    CO_TRY(const size_t sent, SendNow(data));
    data = data.subspan(sent);
  }
  while (!data.empty() && !reset_) {
    OperationAwaiter<SendOperation> send(loop_, stop);
    send.fd = fd_.get();
    send.data = data.first(std::min(data.size(), SendOperation::kBytesMax));
    writing_ = &send;
    const int32_t result = co_await send;
    writing_ = nullptr;
    if (reset_) break;
    if (result < 0) co_return std::unexpected(FailureOf(result, Op::kWrite, stop));
    data = data.subspan(static_cast<size_t>(result));
  }
  if (reset_) co_return std::unexpected(Error::Io(IoCode::kClosed, Op::kWrite));
  co_return Result<void>();
}

Task<Result<void>> SocketConnection::ShutdownWrite(StopToken) {
  CHECK(writing_ == nullptr);
  if (reset_) co_return std::unexpected(Error::Io(IoCode::kClosed, Op::kShutdown));
  // First: once both directions have ended, closing must not throw away what the kernel still has to send.
  if (read_ended_) SetCloseResets(false);
  if (::shutdown(fd_.get(), SHUT_WR) != 0) co_return std::unexpected(Error::Errno(errno, Op::kShutdown));
  write_ended_ = true;
  co_return Result<void>();
}

Task<std::optional<Error>> SocketConnection::AwaitBroken(StopToken stop) {
  CHECK(watch_ == nullptr);
  LinkedStopSource watch(stop);
  watch_ = &watch;
  while (!reset_ && !broken_) {
    OperationAwaiter<PollOperation> poll(loop_, watch.token());  // Errors and hang-ups are always told.
    poll.fd = fd_.get();
    const int32_t result = co_await poll;
    if (result < 0) break;
    if ((result & POLLERR) != 0) {
      broken_ = TakeError();
    } else if ((result & POLLHUP) != 0 || !co_await loop_.Sleep(kHalfClosedCheckInterval, watch.token())) {
      break;  // A hang-up alone is the orderly end of both directions.
    }
  }
  watch_ = nullptr;
  if (reset_) co_return Error::Io(IoCode::kClosed, Op::kPoll);
  co_return broken_;
}

void SocketConnection::Watch(ReadWatcher& watcher) {
  CHECK(reading_ == nullptr && !readiness_.in_flight());
  if (reset_ || broken_) return watcher.OnReadable();
  readiness_.watcher = &watcher;
  readiness_.fd = fd_.get();
  readiness_.events = POLLIN;
  loop_.reactor().Start(readiness_);
}

Error SocketConnection::TakeError() {
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  // Somebody has been told already.
  return Error::Errno(error != 0 ? error : ECONNRESET, Op::kPoll);
}

void SocketConnection::ResetUnlessEnded() {
  if (!read_ended_ || !write_ended_) SetCloseResets(true);
}

void SocketConnection::LimitUnsent(size_t bytes) {
  const auto limit = static_cast<int>(bytes);
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit, sizeof(limit));
}

// With a linger time of zero, close() is a reset, whoever closes; shutdown() stays a plain FIN.
void SocketConnection::SetCloseResets(bool on) {
  if (close_resets_ == on) return;
  close_resets_ = on;
  const linger at_once{.l_onoff = on ? 1 : 0, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void SocketConnection::Reset() {
  if (reset_) return;
  reset_ = true;
  // Connecting to "no address" sends the RST now; close() with a linger time of zero would send it only when the last
  // operation has ended. Unix sockets know neither: there the peer sees the end, or ECONNRESET when bytes were unread.
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  SetCloseResets(true);
  if (::connect(fd_.get(), &nowhere, sizeof(nowhere)) != 0) ::shutdown(fd_.get(), SHUT_RDWR);
  Cancel(reading_);
  Cancel(writing_);
  Cancel(&readiness_);
  if (watch_ != nullptr) watch_->RequestStop();
}

}  // namespace

SocketAddress LocalAddress(int fd) { return AddressOf(fd, ::getsockname); }
SocketAddress PeerAddress(int fd) { return AddressOf(fd, ::getpeername); }

void SetConnectionOptions(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveIdleSeconds, sizeof(int));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveIntervalSeconds, sizeof(int));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveProbes, sizeof(int));
}

std::unique_ptr<Connection> MakeConnection(Loop& loop, UniqueFd fd) {
  return std::make_unique<SocketConnection>(loop, std::move(fd));
}

}  // namespace heddle::io
