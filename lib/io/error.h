#pragma once

#include <cstdint>
#include <string>

#include "lib/base/result.h"
#include "lib/base/stop.h"

namespace heddle::io {

// What was being done when it failed.
enum class Op : uint8_t {
  kNone, kSocket, kBind, kListen, kAccept, kConnect, kRead, kWrite, kShutdown, kPoll, kBuffer, kHandshake, kStream,
  kRing,
};

// Whose code it is.
enum class ErrorDomain : uint8_t {
  kErrno,  // code is an errno of the kernel.
  kIo,     // code is an IoCode.
  kTls,    // code is a tls::TlsError; the long story stays with the engine (TlsEngine::failure()).
  kHttp2,  // code is an error code of RFC 9113 section 7, as sent or received.
};

enum class IoCode : int32_t {
  kStopped = 1,        // The stop token asked for it.
  kDeadline = 2,       // The stop token's deadline passed.
  kUnexpectedEof = 3,  // The peer ended in the middle of something, without saying that it ends.
  kClosed = 4,         // Our own side had closed or reset this before.
  kLimit = 5,          // A named limit of ours was reached.
};

// What the kernel or the peer did, in eight bytes.
struct Error {
  ErrorDomain domain = ErrorDomain::kErrno;
  Op op = Op::kNone;
  int32_t code = 0;

  static Error Errno(int number, Op op) { return {ErrorDomain::kErrno, op, number}; }
  static Error Io(IoCode code, Op op) { return {ErrorDomain::kIo, op, static_cast<int32_t>(code)}; }
  // What a stop request means to the operation that it ended.
  static Error Stopped(StopReason reason, Op op) {
    return Io(reason == StopReason::kDeadline ? IoCode::kDeadline : IoCode::kStopped, op);
  }

  bool is_errno(int number) const { return domain == ErrorDomain::kErrno && code == number; }
  bool is(IoCode io_code) const { return domain == ErrorDomain::kIo && code == static_cast<int32_t>(io_code); }
  // True when we asked for the end ourselves, by stop or by deadline.
  bool stopped() const { return is(IoCode::kStopped) || is(IoCode::kDeadline); }
  // True when the peer took the connection away: ECONNRESET, EPIPE, ETIMEDOUT and the like, or an unexpected end.
  bool peer_gone() const;

  // "connect: Connection refused".
  std::string ToString() const;
  bool operator==(const Error&) const = default;
};
static_assert(sizeof(Error) == 8);

template <typename T>
using Result = heddle::Result<T, Error>;

}  // namespace heddle::io
