#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "lib/base/unique_fd.h"
#include "lib/io/reactor.h"
#include "lib/io/uring_buffers.h"

namespace heddle::io {
namespace {

// DEFER_TASKRUN: completions are made only inside our own io_uring_enter, in batches, without interrupts to the
// thread. TASKRUN_FLAG tells without a system call whether there are any. SUBMIT_ALL: one bad request does not
// hold up the others.
constexpr uint32_t kSetupFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;

// User data is the address of the operation, which is aligned; the low bits tell what else may come back.
constexpr uint64_t kTagMask = 7;
constexpr uint64_t kPollTag = 4;  // The operation's poll, which waits in its place.
constexpr uint64_t kWakeData = 1;
constexpr uint64_t kCancelData = 2;
constexpr uint64_t kTakeBackData = 3;  // The group in the bits above.
constexpr int kTagBits = 3;

// Blocks with the kernel per size class: about a turn's worth of receives; more fall back to a plain recv. Of large
// ones few: the kernel takes them in turn, and what lies in the nearest caches is the one that was freed last.
struct BufferClass {
  size_t block_size;
  uint32_t entries;
};
constexpr std::array<BufferClass, 4> kBufferClasses = {{
    {BufferPool::kSmall, 128}, {BufferPool::kRecord, 64}, {BufferPool::kBulk, 4}, {BufferPool::kBulkMax, 1}}};

class UringReactor final : public Reactor {
 public:
  explicit UringReactor(BufferPool& buffers) : pool_(buffers), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~UringReactor() override;

  // Makes the ring and tries a receive with provided buffers on it. To be called once, on the thread that runs it.
  Result<void> Open(const ReactorOptions& options);

  Backend backend() const override { return Backend::kIoUring; }
  void Start(AcceptOperation& operation) override { StartOperation(operation); }
  void Start(ReceiveOperation& operation) override { StartOperation(operation); }
  void Start(SendOperation& operation) override { StartOperation(operation); }
  void Start(ConnectOperation& operation) override { StartOperation(operation); }
  void Start(PollOperation& operation) override { StartOperation(operation); }
  void Cancel(Operation& operation) override;
  void Forget(int) override {}  // The ring keeps nothing about descriptors.
  void Wait(MonotonicTime now, MonotonicTime until) override;
  void Wake() override;
  void Trim() override;

 private:
  io_uring_sqe* NextRequest();
  void StartOperation(Operation& operation);
  bool Submit(Operation& operation);
  bool SubmitCancel(Operation& operation);
  void Prepare(io_uring_sqe& sqe, Operation& operation);
  void PrepareReceive(io_uring_sqe& sqe, ReceiveOperation& operation);
  bool SubmitPoll(Operation& operation);
  void SubmitDeferred();
  void ArmWake();
  void TakeBack(UringBuffers& buffers, uint32_t count);

  void Enter(MonotonicTime now, MonotonicTime until);
  void Reap();
  void OnCompletion(const io_uring_cqe& cqe);
  void OnPolled(Operation& operation, int32_t result);
  void OnReceived(ReceiveOperation& operation, const io_uring_cqe& cqe);
  int32_t ReceiveWithoutRing(ReceiveOperation& operation);
  void WaitForReadiness(Operation& operation);
  void Finish(Operation& operation, int32_t result);
  UringBuffers& BuffersFor(size_t size_hint);
  Result<void> TryReceive();

  BufferPool& pool_;
  UniqueFd wake_;
  const UniqueFd counter_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)};  // What TakeBack() reads.
  io_uring ring_{};
  bool open_ = false;
  bool wake_armed_ = false;
  size_t in_kernel_ = 0;  // Operations whose completion is still to come.
  std::array<std::unique_ptr<UringBuffers>, kBufferClasses.size()> buffers_;
  IntrusiveList<Operation> deferred_;  // Found the submission queue full: to be started, or cancelled.
  IntrusiveList<Operation> finished_;  // To be completed by the next Wait.
};

UringReactor::~UringReactor() {
  CHECK(in_kernel_ == 0 && deferred_.empty() && finished_.empty());
  for (auto& buffers : buffers_) buffers.reset();
  if (open_) io_uring_queue_exit(&ring_);
}

Result<void> UringReactor::Open(const ReactorOptions& options) {
  if (!wake_.valid() || !counter_.valid()) return std::unexpected(Error::Errno(errno, Op::kRing));
  io_uring_params params{};
  params.flags = kSetupFlags;
  params.cq_entries = options.entries * 8;
  if (const int rc = io_uring_queue_init_params(options.entries, &ring_, &params); rc != 0) {
    return std::unexpected(Error::Errno(-rc, Op::kRing));
  }
  open_ = true;
  io_uring_ring_dontfork(&ring_);
  io_uring_register_ring_fd(&ring_);  // Only saves a look-up per call.
  for (size_t i = 0; i < kBufferClasses.size(); ++i) {
    const auto& [block_size, entries] = kBufferClasses[i];
    buffers_[i] = std::make_unique<UringBuffers>(ring_, pool_, static_cast<uint16_t>(i), block_size, entries);
    TRY_VOID(buffers_[i]->Register());
  }
  return TryReceive();
}

UringBuffers& UringReactor::BuffersFor(size_t size_hint) {
  for (auto& buffers : buffers_) {
    if (size_hint <= buffers->block_size()) return *buffers;
  }
  return *buffers_.back();
}

// A free submission entry. Null when the kernel takes no more for now.
io_uring_sqe* UringReactor::NextRequest() {
  if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
  io_uring_submit(&ring_);
  return io_uring_get_sqe(&ring_);
}

void UringReactor::StartOperation(Operation& operation) {
  operation.MarkInFlight();
  if (!Submit(operation)) deferred_.PushBack(operation);
}

bool UringReactor::Submit(Operation& operation) {
  io_uring_sqe* sqe = NextRequest();
  if (sqe == nullptr) return false;
  Prepare(*sqe, operation);
  io_uring_sqe_set_data(sqe, &operation);
  operation.reactor_submitted = true;
  operation.reactor_polling = false;
  ++in_kernel_;
  return true;
}

void UringReactor::Prepare(io_uring_sqe& sqe, Operation& operation) {
  switch (operation.kind()) {
    case Operation::Kind::kAccept: {
      auto& accept = static_cast<AcceptOperation&>(operation);
      accept.peer_size = sizeof(accept.peer);
      return io_uring_prep_accept(&sqe, accept.fd, reinterpret_cast<sockaddr*>(&accept.peer), &accept.peer_size,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    case Operation::Kind::kReceive: return PrepareReceive(sqe, static_cast<ReceiveOperation&>(operation));
    case Operation::Kind::kSend: {
      const auto& send = static_cast<SendOperation&>(operation);
      CHECK(send.data.size() <= SendOperation::kBytesMax);
      // MSG_WAITALL: the kernel goes on after a short send, until all is sent or an error comes.
      const int flags = MSG_NOSIGNAL | MSG_WAITALL | (send.more ? MSG_MORE : 0);
      return io_uring_prep_send(&sqe, send.fd, send.data.data(), send.data.size(), flags);
    }
    case Operation::Kind::kConnect: {
      const auto& connect = static_cast<ConnectOperation&>(operation);
      const auto* address = reinterpret_cast<const sockaddr*>(&connect.address);
      return io_uring_prep_connect(&sqe, connect.fd, address, connect.address_size);
    }
    case Operation::Kind::kPoll: {
      const auto events = static_cast<uint16_t>(static_cast<PollOperation&>(operation).events);
      return io_uring_prep_poll_add(&sqe, operation.fd, events);
    }
  }
}

void UringReactor::PrepareReceive(io_uring_sqe& sqe, ReceiveOperation& operation) {
  UringBuffers& buffers = BuffersFor(operation.size_hint);
  buffers.Fill();
  io_uring_prep_recv(&sqe, operation.fd, nullptr, std::min(operation.size_hint, buffers.block_size()), 0);
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = buffers.group();
  if (operation.wait_first) sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
}

bool UringReactor::SubmitPoll(Operation& operation) {
  io_uring_sqe* sqe = NextRequest();
  if (sqe == nullptr) return false;
  const bool writes = operation.kind() == Operation::Kind::kSend || operation.kind() == Operation::Kind::kConnect;
  io_uring_prep_poll_add(sqe, operation.fd, writes ? POLLOUT : POLLIN);
  io_uring_sqe_set_data64(sqe, reinterpret_cast<uintptr_t>(&operation) | kPollTag);
  operation.reactor_submitted = true;
  operation.reactor_polling = true;
  ++in_kernel_;
  return true;
}

void UringReactor::Cancel(Operation& operation) {
  CHECK(operation.in_flight());
  if (operation.reactor_finished || operation.reactor_cancelled) return;
  operation.reactor_cancelled = true;
  if (!operation.reactor_submitted) return Finish(operation, -ECANCELED);
  if (!SubmitCancel(operation)) deferred_.PushBack(operation);
}

bool UringReactor::SubmitCancel(Operation& operation) {
  io_uring_sqe* sqe = NextRequest();
  if (sqe == nullptr) return false;
  const uint64_t tag = operation.reactor_polling ? kPollTag : 0;
  io_uring_prep_cancel64(sqe, reinterpret_cast<uintptr_t>(&operation) | tag, 0);
  io_uring_sqe_set_data64(sqe, kCancelData);
  return true;
}

void UringReactor::SubmitDeferred() {
  while (!deferred_.empty()) {
    Operation& operation = deferred_.front();
    const bool taken = operation.reactor_submitted  ? SubmitCancel(operation)
                       : operation.reactor_polling ? SubmitPoll(operation)
                                                   : Submit(operation);
    if (!taken) return;
    operation.Unlink();
  }
}

void UringReactor::ArmWake() {
  if (wake_armed_) return;
  io_uring_sqe* sqe = NextRequest();
  if (sqe == nullptr) return;
  io_uring_prep_poll_add(sqe, wake_.get(), POLLIN);
  io_uring_sqe_set_data64(sqe, kWakeData);
  wake_armed_ = true;
}

void UringReactor::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof(one));
}

void UringReactor::Trim() {
  for (auto& buffers : buffers_) {
    if (const uint32_t unneeded = buffers->Trim(); unneeded > 0) TakeBack(*buffers, unneeded);
  }
}

// The kernel lets go of a block when it has something for it: each of these reads takes one from an event counter. What
// it does not submit now waits in the queue, so the counter lives as long as the ring; what is left in it does no harm.
void UringReactor::TakeBack(UringBuffers& buffers, uint32_t count) {
  const uint64_t events = count;
  if (::write(counter_.get(), &events, sizeof(events)) != sizeof(events)) return;
  for (; count > 0; --count) {
    io_uring_sqe* sqe = NextRequest();
    if (sqe == nullptr) break;
    io_uring_prep_read(sqe, counter_.get(), nullptr, sizeof(uint64_t), 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffers.group();
    io_uring_sqe_set_data64(sqe, kTakeBackData | uint64_t{buffers.group()} << kTagBits);
  }
  io_uring_submit(&ring_);
}

void UringReactor::Wait(MonotonicTime now, MonotonicTime until) {
  ArmWake();
  SubmitDeferred();
  const bool no_wait = !finished_.empty() || !deferred_.empty() || !wake_armed_;
  Enter(now, no_wait ? now : until);
  Reap();
  IntrusiveList<Operation> batch;  // What completes may start the next: that is for the next turn.
  batch.Splice(finished_);
  while (!batch.empty()) {
    Operation& operation = batch.PopFront();
    operation.Complete(operation.reactor_result);
  }
}

// At most one system call: submits, and waits or at least lets the kernel make completions.
void UringReactor::Enter(MonotonicTime now, MonotonicTime until) {
  if (until <= now) {
    const uint32_t kernel_flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
    const bool work = (kernel_flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
    if (work || io_uring_sq_ready(&ring_) > 0) io_uring_submit_and_get_events(&ring_);
    return;
  }
  const int64_t ns = until.nanoseconds() - now.nanoseconds();
  __kernel_timespec timeout{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  io_uring_cqe* first = nullptr;
  const bool forever = until == MonotonicTime::Infinite();
  io_uring_submit_and_wait_timeout(&ring_, &first, 1, forever ? nullptr : &timeout, nullptr);
}

void UringReactor::Reap() {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    OnCompletion(*cqe);
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
}

void UringReactor::OnCompletion(const io_uring_cqe& cqe) {
  if (cqe.user_data == kCancelData) return;  // Whether it found something or not, the operation itself completes.
  if (cqe.user_data == kWakeData) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof(count));
    wake_armed_ = false;
    return;
  }
  if ((cqe.user_data & kTagMask) == kTakeBackData) {
    if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return;
    return buffers_[cqe.user_data >> kTagBits]->TakeBack(static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT));
  }
  --in_kernel_;
  auto& operation = *reinterpret_cast<Operation*>(cqe.user_data & ~kTagMask);
  operation.Unlink();  // A cancel that waits in deferred_ has nothing to do any more.
  operation.reactor_submitted = false;
  if ((cqe.user_data & kPollTag) != 0) return OnPolled(operation, cqe.res);
  if (operation.kind() == Operation::Kind::kReceive) return OnReceived(static_cast<ReceiveOperation&>(operation), cqe);
  // Sockets of ours are non-blocking, which some kernels take as "do not wait" although the request is asynchronous.
  if (cqe.res == -EAGAIN && operation.kind() != Operation::Kind::kPoll) return WaitForReadiness(operation);
  Finish(operation, cqe.res);
}

void UringReactor::OnPolled(Operation& operation, int32_t result) {
  operation.reactor_polling = false;
  if (result < 0 || operation.reactor_cancelled) return Finish(operation, result < 0 ? result : -ECANCELED);
  if (!Submit(operation)) deferred_.PushBack(operation);
}

void UringReactor::WaitForReadiness(Operation& operation) {
  if (operation.reactor_cancelled) return Finish(operation, -ECANCELED);
  operation.reactor_polling = true;
  if (!SubmitPoll(operation)) deferred_.PushBack(operation);
}

void UringReactor::OnReceived(ReceiveOperation& operation, const io_uring_cqe& cqe) {
  int32_t result = cqe.res;
  operation.drained = result > 0 && (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
    const auto entry = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    operation.buffer = BuffersFor(operation.size_hint).Take(entry, result > 0 ? static_cast<size_t>(result) : 0);
  }
  // More receives in one turn than blocks with the kernel: this one takes its block from the pool itself.
  if (result == -ENOBUFS && !operation.reactor_cancelled) {
    result = ReceiveWithoutRing(operation);
    if (result > 0) BuffersFor(operation.size_hint).Grow();
  }
  if (result == -EAGAIN) return WaitForReadiness(operation);
  Finish(operation, result);
}

int32_t UringReactor::ReceiveWithoutRing(ReceiveOperation& operation) {
  Buffer buffer = pool_.Allocate(std::min(operation.size_hint, BufferPool::kBulkMax));
  if (buffer.capacity() == 0) {
    // That there is no memory is no reason to end a connection that has nothing to say.
    uint8_t next = 0;
    const ssize_t n = ::recv(operation.fd, &next, 1, MSG_DONTWAIT | MSG_PEEK);
    if (n < 0) return errno == EINTR ? -EAGAIN : -errno;
    return n == 0 ? 0 : -ENOBUFS;
  }
  const auto room = buffer.writable().first(std::min(operation.size_hint, buffer.capacity()));
  const ssize_t n = ::recv(operation.fd, room.data(), room.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EINTR ? -EAGAIN : -errno;
  buffer.Commit(static_cast<size_t>(n));
  if (n > 0) operation.buffer = std::move(buffer);
  return static_cast<int32_t>(n);
}

void UringReactor::Finish(Operation& operation, int32_t result) {
  operation.Unlink();
  // A request that had been given to a kernel thread reports its cancel as an interrupted call.
  if (operation.reactor_cancelled && (result == -EINTR || result == -ENOBUFS)) result = -ECANCELED;
  operation.reactor_result = result;
  operation.reactor_finished = true;
  finished_.PushBack(operation);
}

// The trial: one byte through a socket pair, received into a provided buffer.
Result<void> UringReactor::TryReceive() {
  struct Trial final : ReceiveOperation {
    void OnComplete(int32_t result) override { got = result; }
    int32_t got = -ETIME;
  };
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return std::unexpected(Error::Errno(errno, Op::kRing));
  }
  const UniqueFd receiver(ends[0]);
  const UniqueFd sender(ends[1]);
  if (::send(sender.get(), "x", 1, MSG_NOSIGNAL) != 1) return std::unexpected(Error::Errno(errno, Op::kRing));
  Trial trial;
  trial.fd = receiver.get();
  Start(trial);
  // The byte is there, so nothing waits; a kernel that does not know the request fails it at once.
  while (trial.in_flight()) Wait(MonotonicTime(), MonotonicTime::FromNanoseconds(1'000'000));
  if (trial.got == 1 && trial.buffer.size() == 1) return {};
  return std::unexpected(Error::Errno(trial.got < 0 ? -trial.got : EOPNOTSUPP, Op::kRing));
}

}  // namespace

Result<std::unique_ptr<Reactor>> MakeIoUringReactor(BufferPool& buffers, const ReactorOptions& options) {
  auto reactor = std::make_unique<UringReactor>(buffers);
  TRY_VOID(reactor->Open(options));
  return std::unique_ptr<Reactor>(std::move(reactor));
}

std::string_view ToString(Backend backend) {
  switch (backend) {
    case Backend::kEpoll: return "epoll";
    case Backend::kIoUring: return "io_uring";
    case Backend::kSimulated: return "simulated";
  }
  return "unknown";
}

}  // namespace heddle::io
