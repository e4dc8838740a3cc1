#pragma once

#include <absl/time/time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/http/rate_budget.h"

namespace heddle::http {

// Limits whose violation ends the connection with ENHANCE_YOUR_CALM. One name each, for counters
// and log lines.
enum class H2Limit : uint8_t {
  kHeaderListBytes,  // Decoded header bytes of one section.
  kHeaderBlock,      // Frames or bytes on the wire of one header block (CONTINUATION flood).
  kResetsReceived,   // RST_STREAM per time (rapid reset, CVE-2023-44487).
  kResetsProvoked,   // Streams that we had to reset per time (MadeYouReset, CVE-2025-8671).
  kControlFrames,    // Frames per time that move nothing (CVE-2019-9511 to 9518).
  kOutboundQueue,    // Frames that wait for a peer which does not read.
  kCount,
};
std::string_view ToString(H2Limit limit);

// What a session announces and what it tolerates. A value.
struct H2Options {
  // Announced in SETTINGS.
  // Servers only. A stream counts until its owner has released it.
  uint32_t max_concurrent_streams = 100;
  uint32_t header_list_bytes_max = 64 * 1024;  // Enforced, see H2Limit::kHeaderListBytes.
  // Up to 16 MiB - 1; raise it for peers that want to send larger frames.
  uint32_t receive_frame_bytes_max = 16 * 1024;
  uint32_t header_table_bytes = 4096;

  // Flow control. The window of a stream is returned when its owner has consumed the bytes, the
  // connection's when they arrive, so that one stalled reader does not stop the others. What is
  // buffered is bounded for a stream by its window, for the connection by connection_held_max, and
  // for the process by the ReceiveBudget.
  uint32_t stream_window_initial = 64 * 1024;
  // A window grows up to this with the rate at which its reader drains it.
  uint32_t stream_window_max = 4 * 1024 * 1024;
  uint32_t connection_window = 16 * 1024 * 1024;
  // While the streams hold more than this, the connection's window is not returned: many stalled
  // readers stop their connection, and hold at most this and one connection window.
  size_t connection_held_max = size_t{64} * 1024 * 1024;

  // The client's bound on its own streams, beside the peer's.
  uint32_t open_streams_max = 100;

  // Frames of one header block: a list of 64 KiB fits in 5 frames of the smallest maximum.
  uint32_t header_block_frames_max = 8;
  // Resets are part of life (a stream whose app died); the attacks reset thousands per second.
  RateLimit resets_received{.burst = 1000, .per_second = 100};
  // Streams reset because the peer broke the protocol on them, or opened them above our limit.
  RateLimit resets_provoked{.burst = 100, .per_second = 10};
  // PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown types. Peers ping every 10 s, some
  // with every window of data: each 16 KiB of data that we send, or what is less of a frame, allow this many more.
  RateLimit control_frames{.burst = 1000, .per_second = 100};
  static constexpr int kControlFramesPer16KiB = 4;
  // Frames waiting to be written, beyond what our own streams need.
  uint32_t outbound_queue_frames_max = 4096;
};

// Counters of one session.
struct H2Stats {
  uint64_t streams_total = 0;
  uint64_t resets_received = 0;
  uint64_t resets_provoked = 0;
  uint64_t streams_refused = 0;  // Over max_concurrent_streams, or the budget was exhausted.
  uint64_t windows_grown = 0;
  std::array<uint64_t, static_cast<size_t>(H2Limit::kCount)> limit_violations{};
};

}  // namespace heddle::http
