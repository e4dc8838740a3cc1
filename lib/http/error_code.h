#pragma once

#include <cstdint>
#include <string_view>

#include "lib/io/error.h"

namespace heddle::http {

// Why a stream or a connection ended: RFC 9113 section 7. Codes that are not listed can arrive and
// mean kInternalError.
enum class ErrorCode : uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kFlowControlError = 0x3,
  kSettingsTimeout = 0x4,
  kStreamClosed = 0x5,
  kFrameSizeError = 0x6,
  kRefusedStream = 0x7,
  kCancel = 0x8,
  kCompressionError = 0x9,
  kConnectError = 0xa,
  kEnhanceYourCalm = 0xb,
  kInadequateSecurity = 0xc,
  kHttp11Required = 0xd,
};

// "ENHANCE_YOUR_CALM"; "UNKNOWN" for others.
std::string_view ToString(ErrorCode code);

// A code of HTTP/2 as an error of a stream, and back.
inline io::Error ToError(ErrorCode code, io::Op op) {
  return {io::ErrorDomain::kHttp2, op, static_cast<int32_t>(code)};
}
inline bool Is(const io::Error& error, ErrorCode code) {
  return error.domain == io::ErrorDomain::kHttp2 && error.code == static_cast<int32_t>(code);
}

// True when the peer says that it has not looked at the request, so that sending it again on
// another connection is safe: REFUSED_STREAM, which also stands for streams above the last one that
// a GOAWAY named (RFC 9113 section 8.7).
inline bool IsRetryable(const io::Error& error) { return Is(error, ErrorCode::kRefusedStream); }

}  // namespace heddle::http
