#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/http/h2_options.h"

namespace heddle::http {

// The nine bytes before each frame's payload (RFC 9113 section 4.1):
//   | length, 24 bits | type | flags | 0, stream, 31 bits |
struct FrameHeader {
  uint32_t length = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
};

// Finds the frame headers in a stream of bytes that comes in pieces. It looks at every frame, also
// at those that the library behind it skips without telling (unknown types, blocks of refused
// streams).
class FrameScanner {
 public:
  static constexpr size_t kHeaderBytes = 9;

  // `skip` bytes come before the first frame: the client's preface.
  explicit FrameScanner(size_t skip) : skip_(skip) {}

  // Calls visit(FrameHeader) for each header that is complete, until it returns false. False when
  // it did.
  template <typename Visit>
  bool Scan(std::span<const uint8_t> bytes, Visit visit) {
    while (!bytes.empty()) {
      const size_t skipped = std::min(skip_, bytes.size());
      skip_ -= skipped;
      bytes = bytes.subspan(skipped);
      while (!bytes.empty() && size_ < kHeaderBytes) {
        header_[size_++] = bytes.front();
        bytes = bytes.subspan(1);
      }
      if (size_ < kHeaderBytes) return true;
      frame_ = Parse();
      size_ = 0;
      skip_ = frame_.length;
      if (!visit(frame_)) return false;
    }
    return true;
  }

  // The frame that began last, and how much of its payload has not come.
  const FrameHeader& frame() const { return frame_; }
  size_t missing() const { return skip_; }

 private:
  FrameHeader Parse() const;

  FrameHeader frame_{.type = 0xff};  // None.
  uint8_t header_[kHeaderBytes] = {};
  size_t size_ = 0;
  size_t skip_;
};

// Judges what a peer may do per time and per header block. Pure; time is the caller's.
class FloodGuard {
 public:
  FloodGuard(const H2Options& options, MonotonicTime now);

  // A frame of the peer begins. The limit that it breaks, if any.
  std::optional<H2Limit> OnFrame(const FrameHeader& frame, MonotonicTime now);
  // The HEADERS frame that came last began or ended something for us: it was no flood.
  void OnHeadersUsed() { control_.Earn(1); }
  // We had to reset a stream. False when that happens too often.
  bool OnResetProvoked(MonotonicTime now) { return resets_provoked_.Take(now); }
  // We sent a DATA frame that the peer's window did not cut short: it will be answered by window
  // updates, perhaps by pings.
  void OnDataSent(size_t bytes) {
    const size_t parts = std::max<size_t>(1, (bytes + kPartBytes - 1) / kPartBytes);
    control_.Earn(static_cast<double>(parts) * H2Options::kControlFramesPer16KiB);
  }

 private:
  static constexpr size_t kPartBytes = 16 * 1024;

  std::optional<H2Limit> OnHeaderBlockPart(const FrameHeader& frame, bool first);

  const uint32_t block_frames_max_;
  const size_t block_bytes_max_;
  uint32_t block_frames_ = 0;
  size_t block_bytes_ = 0;
  RateBudget resets_received_;
  RateBudget resets_provoked_;
  RateBudget control_;
};

}  // namespace heddle::http
