#pragma once

#include "lib/io/loop.h"

namespace heddle::io {

// One operation of the reactor as something to await, with a stop token. For the files of lib/io that make
// sockets of it:
//     OperationAwaiter<ReceiveOperation> receive(loop, stop);
//     receive.fd = fd;
//     const int32_t result = co_await receive;
// A stop cancels the operation and the await goes on until it has completed. Stopped before it started, it does
// not start and the result is -ECANCELED. One await per object.
template <typename Op>
class OperationAwaiter final : public Op, private StopCallback {
 public:
  OperationAwaiter(Loop& loop, StopToken stop) : loop_(loop), stop_(stop) {}

  bool await_ready() const { return stop_.requested(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    resumption_.Set(waiter);
    loop_.reactor().Start(*this);
    Subscribe(stop_);
  }
  int32_t await_resume() const { return result_; }

 private:
  void OnComplete(int32_t result) override {
    result_ = result;
    StopCallback::Unlink();
    loop_.Schedule(resumption_);
  }
  void OnStop(StopReason) noexcept override { loop_.reactor().Cancel(*this); }

  Loop& loop_;
  StopToken stop_;
  Resumption resumption_;
  int32_t result_ = -ECANCELED;
};

// What a negative result of an operation means to whoever started it.
inline Error FailureOf(int32_t result, Op op, StopToken stop) {
  if (result == -ECANCELED && stop.requested()) return Error::Stopped(stop.reason(), op);
  if (result == -ENOBUFS && op == Op::kRead) return Error::Io(IoCode::kLimit, Op::kBuffer);
  return Error::Errno(-result, op);
}

}  // namespace heddle::io
