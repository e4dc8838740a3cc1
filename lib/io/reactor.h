#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/intrusive_list.h"
#include "lib/io/buffer.h"
#include "lib/io/error.h"

namespace heddle::io {

// One request to the kernel. It lives in the frame of the coroutine that waits for it (no allocation, no
// table), and the kernel may hold a pointer to it: it must not be destroyed between Reactor::Start and
// Complete().
class Operation : public ListNode {
 public:
  enum class Kind : uint8_t { kAccept, kReceive, kSend, kConnect, kPoll };

  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  Kind kind() const { return kind_; }
  bool in_flight() const { return in_flight_; }

  int fd = -1;

 protected:
  explicit Operation(Kind kind) : kind_(kind) {}
  ~Operation() { CHECK(!in_flight_); }
  // Called once per Start, by the reactor on its loop, never from inside Start or Cancel. `result` is what the
  // system call returned: >= 0, or a negative errno; -ECANCELED after Cancel.
  virtual void OnComplete(int32_t result) = 0;

 private:
  const Kind kind_;
  bool in_flight_ = false;

 public:  // For reactors only.
  void Complete(int32_t result) {
    in_flight_ = false;
    OnComplete(result);
  }
  void MarkInFlight() {
    CHECK(!in_flight_);
    in_flight_ = true;
    reactor_result = 0;
    reactor_finished = reactor_cancelled = reactor_submitted = reactor_polling = false;
  }
  int32_t reactor_result = 0;      // What to complete with; for a send in progress, the bytes taken so far.
  bool reactor_finished = false;   // Has its result and waits for its turn to complete.
  bool reactor_cancelled = false;  // Cancel was called.
  bool reactor_submitted = false;  // The ring has it.
  bool reactor_polling = false;    // The ring waits for readiness in its place.
};

// `fd` is the listening socket. The result is the accepted descriptor, non-blocking and close-on-exec; `peer` is then
// its other end's address.
class AcceptOperation : public Operation {
 public:
  AcceptOperation() : Operation(Kind::kAccept) {}
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof(peer);  // The reactor's.

 protected:
  ~AcceptOperation() = default;
};

// The result counts the bytes received; 0 is the end of the stream. -ENOBUFS: the buffer pool is at its limit.
class ReceiveOperation : public Operation {
 public:
  ReceiveOperation() : Operation(Kind::kReceive) {}
  size_t size_hint = BufferPool::kSmall;
  Buffer buffer;  // Filled when the result is positive; no buffer is held while waiting.
  bool wait_first = false;  // A hint: nothing is there yet, so that trying before waiting is in vain.
  bool drained = false;     // With a positive result, by io_uring: no more was there, as far as it knows.

 protected:
  ~ReceiveOperation() = default;
};

class SendOperation : public Operation {
 public:
  SendOperation() : Operation(Kind::kSend) {}
  // A result of a send is an int32_t.
  static constexpr size_t kBytesMax = 1u << 30;
  // At most kBytesMax. The result counts the bytes taken: all of them, or fewer when an error or a cancel came.
  std::span<const uint8_t> data;
  bool more = false;  // More follows at once (MSG_MORE).

 protected:
  ~SendOperation() = default;
};

class ConnectOperation : public Operation {
 public:
  ConnectOperation() : Operation(Kind::kConnect) {}
  sockaddr_storage address{};
  socklen_t address_size = 0;

 protected:
  ~ConnectOperation() = default;
};

// Waits until a descriptor is ready, once: for what has no operation of its own (datagrams with control
// messages, BPF ring buffers, inotify, netlink). The result is the poll(2) mask. A descriptor that was only
// ever polled needs no Forget().
class PollOperation : public Operation {
 public:
  PollOperation() : Operation(Kind::kPoll) {}
  short events = 0;

 protected:
  ~PollOperation() = default;
};

enum class Backend : uint8_t { kEpoll, kIoUring, kSimulated };
std::string_view ToString(Backend backend);

// The kernel side of a loop, completion style: submit, then be told. Three implementations with the same
// semantics: io_uring, epoll (performs the call when ready and posts a completion), and one without a kernel
// for the simulation. All calls on the loop's thread, but Wake().
class Reactor {
 public:
  virtual ~Reactor() = default;
  virtual Backend backend() const = 0;

  virtual void Start(AcceptOperation& operation) = 0;
  virtual void Start(ReceiveOperation& operation) = 0;
  virtual void Start(SendOperation& operation) = 0;
  virtual void Start(ConnectOperation& operation) = 0;
  virtual void Start(PollOperation& operation) = 0;
  // Asks for the end of an operation in flight. It still completes: with -ECANCELED, or with what it did before.
  virtual void Cancel(Operation& operation) = 0;
  // Must be called before a descriptor that had operations is closed; none may be in flight on it.
  virtual void Forget(int fd) = 0;

  // Submits what was started, waits for completions until `until` (not at all when it has passed, or when something is
  // finished already) and delivers them.
  virtual void Wait(MonotonicTime now, MonotonicTime until) = 0;
  // Ends a Wait under way or the next one. From any thread.
  virtual void Wake() = 0;
  // Gives back what it holds and was not needed since the last call. The loop calls it every second or so.
  virtual void Trim() {}
};

struct ReactorOptions {
  // Ring size: requests of one turn, which submits early when there are more. The completion queue is
  // eight times as large. All of it is mapped for good: 256 KiB.
  uint32_t entries = 1024;
};

// The epoll backend, always there.
std::unique_ptr<Reactor> MakeEpollReactor(BufferPool& buffers);
// The io_uring backend; an error says what is missing (tried on a real ring, because profiles of containers
// forbid it). The ring belongs to the calling thread.
Result<std::unique_ptr<Reactor>> MakeIoUringReactor(BufferPool& buffers, const ReactorOptions& options);

}  // namespace heddle::io
