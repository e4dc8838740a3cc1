#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/io/reactor.h"

namespace heddle::io {
namespace {

constexpr size_t kEventsPerWait = 256;
constexpr uint32_t kBroken = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr uint32_t kWatched = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
constexpr uint64_t kWakeEvent = UINT64_MAX;

// What the reactor knows of one descriptor. Registered edge-triggered with its first operation until Forget(),
// so that no request costs an epoll_ctl.
struct Descriptor {
  uint32_t ready = EPOLLIN | EPOLLOUT;  // Cleared only by EAGAIN (or a short read): whatever is set is worth a try.
  bool registered = false;
  bool poll_only = false;  // Registered for poll operations alone; unregistered with the last of them.
  bool hung_up = false;    // A short read says nothing more about what follows.
  IntrusiveList<Operation> waiting;
};

// Which events can let the operation make progress.
uint32_t Interest(const Operation& operation) {
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
    case Operation::Kind::kReceive: return EPOLLIN | kBroken;
    case Operation::Kind::kSend:
    case Operation::Kind::kConnect: return EPOLLOUT | EPOLLHUP | EPOLLERR;
    case Operation::Kind::kPoll: break;
  }
  // The bits of poll(2) and epoll are the same.
  return static_cast<uint16_t>(static_cast<const PollOperation&>(operation).events) | EPOLLHUP | EPOLLERR;
}

int PollNow(int fd, short events) {
  pollfd polled{.fd = fd, .events = events, .revents = 0};
  return ::poll(&polled, 1, 0) > 0 ? static_cast<uint16_t>(polled.revents) : 0;
}

// `call` until it is not interrupted: its result, a negative errno, or nothing when it would block.
template <typename Call>
std::optional<int32_t> Try(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0) return static_cast<int32_t>(result);
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) return -errno;
  }
}

class EpollReactor final : public Reactor {
 public:
  explicit EpollReactor(BufferPool& buffers);
  ~EpollReactor() override { CHECK(finished_.empty()); }

  Backend backend() const override { return Backend::kEpoll; }
  void Start(AcceptOperation& operation) override { StartOperation(operation); }
  void Start(ReceiveOperation& operation) override { StartOperation(operation); }
  void Start(SendOperation& operation) override { StartOperation(operation); }
  void Start(ConnectOperation& operation) override;
  void Start(PollOperation& operation) override;
  void Cancel(Operation& operation) override;
  void Forget(int fd) override;
  void Wait(MonotonicTime now, MonotonicTime until) override;
  void Wake() override;

 private:
  Descriptor& At(int fd);
  bool Register(Operation& operation, Descriptor& descriptor);
  void UnregisterIfOnlyPolled(int fd, Descriptor& descriptor);
  void StartOperation(Operation& operation);
  void Finish(Operation& operation, int32_t result);

  // Each tries its system call: the result, or nothing when it has to wait.
  std::optional<int32_t> Perform(Operation& operation, Descriptor& descriptor);
  std::optional<int32_t> Receive(ReceiveOperation& operation, Descriptor& descriptor);
  std::optional<int32_t> Send(SendOperation& operation, Descriptor& descriptor);

  void OnEvent(int fd, uint32_t events);
  void DrainWakeups();

  BufferPool& buffers_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::vector<std::unique_ptr<Descriptor>> descriptors_;  // By number.
  IntrusiveList<Operation> finished_;                     // Completed by the next Wait, in this order.
};

EpollReactor::EpollReactor(BufferPool& buffers)
    : buffers_(buffers), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(epoll_.valid() && wake_.valid());
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeEvent}};
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
}

Descriptor& EpollReactor::At(int fd) {
  CHECK(fd >= 0);
  const auto index = static_cast<size_t>(fd);
  if (index >= descriptors_.size()) descriptors_.resize(index + 1);
  if (descriptors_[index] == nullptr) descriptors_[index] = std::make_unique<Descriptor>();
  return *descriptors_[index];
}

// False when the kernel refuses to watch the descriptor; the operation then ends with its errno.
bool EpollReactor::Register(Operation& operation, Descriptor& descriptor) {
  if (descriptor.registered) return true;
  epoll_event event{.events = kWatched, .data = {.u64 = static_cast<uint64_t>(operation.fd)}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, operation.fd, &event) != 0) {
    Finish(operation, -errno);
    return false;
  }
  descriptor.registered = true;
  return true;
}

void EpollReactor::Finish(Operation& operation, int32_t result) {
  operation.Unlink();
  operation.reactor_result = result;
  operation.reactor_finished = true;
  finished_.PushBack(operation);
}

void EpollReactor::StartOperation(Operation& operation) {
  operation.MarkInFlight();
  Descriptor& descriptor = At(operation.fd);
  // Registered before the call is tried: what happens after EAGAIN is then an edge that we are told of.
  if (!Register(operation, descriptor)) return;
  descriptor.poll_only = false;
  if ((descriptor.ready & Interest(operation)) != 0) {
    if (const auto result = Perform(operation, descriptor)) return Finish(operation, *result);
  }
  descriptor.waiting.PushBack(operation);
}

void EpollReactor::Start(ConnectOperation& operation) {
  operation.MarkInFlight();
  const auto* address = reinterpret_cast<const sockaddr*>(&operation.address);
  const int rc = ::connect(operation.fd, address, operation.address_size);
  if (rc == 0) return Finish(operation, 0);
  if (errno != EINPROGRESS && errno != EINTR) return Finish(operation, -errno);
  // Registered after connect(): a socket that is not connecting yet reports HUP.
  Descriptor& descriptor = At(operation.fd);
  if (!Register(operation, descriptor)) return;
  descriptor.poll_only = false;
  descriptor.waiting.PushBack(operation);
}

void EpollReactor::Start(PollOperation& operation) {
  operation.MarkInFlight();
  if (const int mask = PollNow(operation.fd, operation.events); mask != 0) return Finish(operation, mask);
  Descriptor& descriptor = At(operation.fd);
  if (!descriptor.registered) descriptor.poll_only = true;
  if (!Register(operation, descriptor)) return;
  descriptor.waiting.PushBack(operation);
}

void EpollReactor::Cancel(Operation& operation) {
  CHECK(operation.in_flight());
  operation.reactor_cancelled = true;
  if (operation.reactor_finished) return;  // Completes with what it did before.
  const int32_t taken = operation.reactor_result;
  Finish(operation, taken > 0 ? taken : -ECANCELED);
  UnregisterIfOnlyPolled(operation.fd, At(operation.fd));
}

void EpollReactor::UnregisterIfOnlyPolled(int fd, Descriptor& descriptor) {
  if (!descriptor.poll_only || !descriptor.waiting.empty()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  descriptors_[static_cast<size_t>(fd)].reset();
}

void EpollReactor::Forget(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (fd < 0 || index >= descriptors_.size() || descriptors_[index] == nullptr) return;
  CHECK(descriptors_[index]->waiting.empty());
  if (descriptors_[index]->registered) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  descriptors_[index].reset();
}

std::optional<int32_t> EpollReactor::Perform(Operation& operation, Descriptor& descriptor) {
  switch (operation.kind()) {
    case Operation::Kind::kAccept: {
      auto& accept = static_cast<AcceptOperation&>(operation);
      const auto result = Try([&] {
        accept.peer_size = sizeof(accept.peer);
        auto* peer = reinterpret_cast<sockaddr*>(&accept.peer);
        return ::accept4(accept.fd, peer, &accept.peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      });
      if (!result) descriptor.ready &= ~EPOLLIN;
      return result;
    }
    case Operation::Kind::kReceive: return Receive(static_cast<ReceiveOperation&>(operation), descriptor);
    case Operation::Kind::kSend: return Send(static_cast<SendOperation&>(operation), descriptor);
    case Operation::Kind::kConnect: {
      // An edge may be older than the connect; only what poll says now counts.
      if (PollNow(operation.fd, POLLOUT) == 0) return std::nullopt;
      int error = 0;
      socklen_t size = sizeof(error);
      ::getsockopt(operation.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      return -error;
    }
    case Operation::Kind::kPoll: break;
  }
  const int mask = PollNow(operation.fd, static_cast<PollOperation&>(operation).events);
  return mask == 0 ? std::nullopt : std::optional<int32_t>(mask);
}

std::optional<int32_t> EpollReactor::Receive(ReceiveOperation& operation, Descriptor& descriptor) {
  Buffer buffer = buffers_.Allocate(std::min(operation.size_hint, BufferPool::kBulkMax));
  if (buffer.capacity() == 0) return -ENOBUFS;
  const auto room = buffer.writable().first(std::min(operation.size_hint, buffer.capacity()));
  const auto result = Try([&] { return ::recv(operation.fd, room.data(), room.size(), 0); });
  // A short read has emptied the socket: the next one need not find that out by EAGAIN (epoll(7), question 9).
  const bool emptied = !result || (*result > 0 && static_cast<size_t>(*result) < room.size() && !descriptor.hung_up);
  if (emptied) descriptor.ready &= ~EPOLLIN;
  if (result && *result > 0) {
    buffer.Commit(static_cast<size_t>(*result));
    operation.buffer = std::move(buffer);
  }
  return result;
}

std::optional<int32_t> EpollReactor::Send(SendOperation& operation, Descriptor& descriptor) {
  CHECK(operation.data.size() <= SendOperation::kBytesMax);
  const int flags = MSG_NOSIGNAL | (operation.more ? MSG_MORE : 0);
  int32_t& taken = operation.reactor_result;
  while (true) {
    const auto rest = operation.data.subspan(static_cast<size_t>(taken));
    const auto result = Try([&] { return ::send(operation.fd, rest.data(), rest.size(), flags); });
    if (!result) {
      descriptor.ready &= ~EPOLLOUT;
      return std::nullopt;
    }
    if (*result < 0) return taken > 0 ? taken : *result;
    taken += *result;
    if (static_cast<size_t>(taken) == operation.data.size()) return taken;
  }
}

void EpollReactor::OnEvent(int fd, uint32_t events) {
  const auto index = static_cast<size_t>(fd);
  if (index >= descriptors_.size() || descriptors_[index] == nullptr) return;
  Descriptor& descriptor = *descriptors_[index];
  if ((events & (EPOLLIN | kBroken)) != 0) descriptor.ready |= EPOLLIN;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) descriptor.ready |= EPOLLOUT;
  if ((events & kBroken) != 0) descriptor.hung_up = true;
  descriptor.waiting.ForEach([&](Operation& operation) {
    if ((Interest(operation) & events) == 0) return;
    if (const auto result = Perform(operation, descriptor)) Finish(operation, *result);
  });
  UnregisterIfOnlyPolled(fd, descriptor);
}

void EpollReactor::DrainWakeups() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof(count));
}

void EpollReactor::Wait(MonotonicTime now, MonotonicTime until) {
  const bool no_wait = !finished_.empty() || until <= now;
  const int64_t ns = no_wait ? 0 : until.nanoseconds() - now.nanoseconds();
  const timespec timeout{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  std::array<epoll_event, kEventsPerWait> events;
  const bool forever = !no_wait && until == MonotonicTime::Infinite();
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   forever ? nullptr : &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.u64 == kWakeEvent) {
      DrainWakeups();
    } else {
      OnEvent(static_cast<int>(event.data.u64), event.events);
    }
  }
  IntrusiveList<Operation> batch;  // What completes may start the next: that is for the next turn.
  batch.Splice(finished_);
  while (!batch.empty()) {
    Operation& operation = batch.PopFront();
    operation.Complete(operation.reactor_result);
  }
}

void EpollReactor::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof(one));
}

}  // namespace

std::unique_ptr<Reactor> MakeEpollReactor(BufferPool& buffers) { return std::make_unique<EpollReactor>(buffers); }

}  // namespace heddle::io
