#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lib/http/error_code.h"
#include "lib/http/headers.h"

namespace heddle::http {

enum class Role : uint8_t { kClient, kServer };

// Number of a stream on its connection.
enum class StreamId : int32_t {};

// Something that a session wants its owner to know.
struct H2Event {
  enum class Type : uint8_t {
    kRequest,   // Server: a new stream with its headers. Its owner must Release() it in the end.
    kResponse,  // Client: the final response's headers. Informational ones (1xx) are dropped.
    kTrailers,  // The peer's trailers; kEnd follows.
    kData,      // `data` points into the bytes given to Receive and lives as long as those.
    kEnd,       // The peer ended its direction in order (END_STREAM).
    kReset,     // The stream ended before both directions had ended in order: `code`, `by_peer`.
    kWritten,   // What Write() gave has been taken.
    kSettings,  // The peer's first SETTINGS have arrived.
    kPingAck,   // A Ping() was answered.
    kGoaway,  // The peer takes no new streams: `code`. Streams it will not serve are reset with REFUSED_STREAM.
  };
  Type type;
  StreamId stream{};
  Headers headers{};
  std::span<const uint8_t> data{};
  ErrorCode code = ErrorCode::kNoError;
  bool by_peer = false;
};

// Why a session ended the connection, or the peer did.
struct H2End {
  ErrorCode code = ErrorCode::kNoError;
  bool by_peer = false;
  std::string reason;  // A sentence for a log line; the peer's debug data when by_peer.
};

}  // namespace heddle::http
