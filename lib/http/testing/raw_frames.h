#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/http/headers.h"

namespace heddle::http {

// HTTP/2 bytes written by hand, for what a well-behaved library refuses to send.

inline constexpr std::string_view kClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr uint8_t kEndStreamFlag = 0x1;
inline constexpr uint8_t kAckFlag = 0x1;
inline constexpr uint8_t kEndHeadersFlag = 0x4;
inline constexpr uint8_t kPaddedFlag = 0x8;

std::string RawFrame(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload = {});
// HPACK: every field a literal without indexing, no Huffman.
std::string RawHeaderBlock(const Headers& headers);
std::string RawHeaders(uint32_t stream, const Headers& headers, bool end);
std::string RawSetting(uint16_t id, uint32_t value);
std::string RawUint32(uint32_t value);
inline std::string RawReset(uint32_t stream, uint32_t code) {
  return RawFrame(FrameType::kRstStream, 0, stream, RawUint32(code));
}
inline std::string RawWindowUpdate(uint32_t stream, uint32_t increment) {
  return RawFrame(FrameType::kWindowUpdate, 0, stream, RawUint32(increment));
}

struct ParsedFrame {
  FrameType type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
};
// Whole frames in `bytes`; what is cut off at the end is left out.
std::vector<ParsedFrame> ParseFrames(std::string_view bytes);

inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace heddle::http
