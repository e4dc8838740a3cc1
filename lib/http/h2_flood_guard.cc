#include "lib/http/h2_flood_guard.h"

namespace heddle::http {
namespace {

// RFC 9113 section 6. All other types move nothing and are control frames to us.
constexpr uint8_t kData = 0x0;
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kRstStream = 0x3;
constexpr uint8_t kPushPromise = 0x5;
constexpr uint8_t kContinuation = 0x9;
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kPadded = 0x8;

// A block on the wire is smaller than its decoded list, which counts 32 bytes per field; padding
// and priority may come on top.
constexpr size_t kBlockSlackBytes = 1024;

// DATA without a byte of data, or with so little that it may all be padding. END_STREAM makes it
// useful.
bool IsEmptyData(const FrameHeader& frame) {
  if ((frame.flags & kEndStream) != 0) return false;
  return frame.length == 0 || ((frame.flags & kPadded) != 0 && frame.length <= 256);
}

}  // namespace

std::string_view ToString(H2Limit limit) {
  switch (limit) {
    case H2Limit::kHeaderListBytes: return "header_list_bytes";
    case H2Limit::kHeaderBlock: return "header_block";
    case H2Limit::kResetsReceived: return "resets_received";
    case H2Limit::kResetsProvoked: return "resets_provoked";
    case H2Limit::kControlFrames: return "control_frames";
    case H2Limit::kOutboundQueue: return "outbound_queue";
    case H2Limit::kCount: break;
  }
  return "unknown";
}

FrameHeader FrameScanner::Parse() const {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(header_[i]); };
  return {.length = byte(0) << 16 | byte(1) << 8 | byte(2),
          .type = header_[3],
          .flags = header_[4],
          .stream = (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff};
}

FloodGuard::FloodGuard(const H2Options& options, MonotonicTime now)
    : block_frames_max_(options.header_block_frames_max),
      block_bytes_max_(options.header_list_bytes_max + kBlockSlackBytes),
      resets_received_(options.resets_received, now),
      resets_provoked_(options.resets_provoked, now),
      control_(options.control_frames, now) {}

std::optional<H2Limit> FloodGuard::OnFrame(const FrameHeader& frame, MonotonicTime now) {
  switch (frame.type) {
    case kData:
      if (!IsEmptyData(frame)) return std::nullopt;
      break;
    case kRstStream:
      if (resets_received_.Take(now)) return std::nullopt;
      return H2Limit::kResetsReceived;
    case kHeaders:
    case kPushPromise:
      if (auto limit = OnHeaderBlockPart(frame, true)) return limit;
      break;  // Given back by OnHeadersUsed().
    case kContinuation: return OnHeaderBlockPart(frame, false);
    default: break;
  }
  if (control_.Take(now)) return std::nullopt;
  return H2Limit::kControlFrames;
}

std::optional<H2Limit> FloodGuard::OnHeaderBlockPart(const FrameHeader& frame, bool first) {
  block_frames_ = first ? 1 : block_frames_ + 1;
  block_bytes_ = first ? frame.length : block_bytes_ + frame.length;
  if (block_frames_ <= block_frames_max_ && block_bytes_ <= block_bytes_max_) return std::nullopt;
  return H2Limit::kHeaderBlock;
}

}  // namespace heddle::http
