#include "lib/io/error.h"

#include <absl/strings/str_cat.h>

#include <cerrno>
#include <system_error>

namespace heddle::io {
namespace {

const char* Name(Op op) {
  switch (op) {
    case Op::kNone: return "operation";
    case Op::kSocket: return "socket";
    case Op::kBind: return "bind";
    case Op::kListen: return "listen";
    case Op::kAccept: return "accept";
    case Op::kConnect: return "connect";
    case Op::kRead: return "read";
    case Op::kWrite: return "write";
    case Op::kShutdown: return "shutdown";
    case Op::kPoll: return "poll";
    case Op::kBuffer: return "buffer";
    case Op::kHandshake: return "handshake";
    case Op::kStream: return "stream";
    case Op::kRing: return "io_uring";
  }
  return "operation";
}

std::string Text(ErrorDomain domain, int32_t code) {
  switch (domain) {
    case ErrorDomain::kErrno: return std::generic_category().message(code);
    case ErrorDomain::kTls: return absl::StrCat("TLS error ", code);
    case ErrorDomain::kHttp2: return absl::StrCat("HTTP/2 error ", code);
    case ErrorDomain::kIo: break;
  }
  switch (static_cast<IoCode>(code)) {
    case IoCode::kStopped: return "stopped";
    case IoCode::kDeadline: return "deadline exceeded";
    case IoCode::kUnexpectedEof: return "peer ended unexpectedly";
    case IoCode::kClosed: return "already closed";
    case IoCode::kLimit: return "limit reached";
  }
  return absl::StrCat("error ", code);
}

}  // namespace

bool Error::peer_gone() const {
  if (is(IoCode::kUnexpectedEof)) return true;
  if (domain != ErrorDomain::kErrno) return false;
  return code == ECONNRESET || code == EPIPE || code == ETIMEDOUT || code == ECONNABORTED || code == ENOTCONN ||
         code == EHOSTUNREACH || code == ENETUNREACH;
}

std::string Error::ToString() const { return absl::StrCat(Name(op), ": ", Text(domain, code)); }

}  // namespace heddle::io
