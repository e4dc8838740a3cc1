#include "lib/http/testing/raw_frames.h"

namespace heddle::http {
namespace {

uint32_t ReadUint(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// RFC 7541 section 5.1 with a prefix of 7 bits and a leading zero (no Huffman).
void AppendString(std::string& block, std::string_view text) {
  constexpr size_t kPrefixMax = 127;
  if (text.size() < kPrefixMax) {
    block.push_back(static_cast<char>(text.size()));
  } else {
    block.push_back(static_cast<char>(kPrefixMax));
    size_t rest = text.size() - kPrefixMax;
    for (; rest >= 128; rest /= 128) block.push_back(static_cast<char>(0x80 | rest % 128));
    block.push_back(static_cast<char>(rest));
  }
  block.append(text);
}

}  // namespace

std::string RawUint32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string RawFrame(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame =
      RawUint32(static_cast<uint32_t>(payload.size()) << 8 | static_cast<uint8_t>(type));
  frame.push_back(static_cast<char>(flags));
  frame += RawUint32(stream);
  frame += payload;
  return frame;
}

std::string RawHeaderBlock(const Headers& headers) {
  std::string block;
  for (const Header& header : headers) {
    block.push_back(0);
    AppendString(block, header.name);
    AppendString(block, header.value);
  }
  return block;
}

std::string RawHeaders(uint32_t stream, const Headers& headers, bool end) {
  const auto flags = static_cast<uint8_t>(kEndHeadersFlag | (end ? kEndStreamFlag : 0));
  return RawFrame(FrameType::kHeaders, flags, stream, RawHeaderBlock(headers));
}

std::string RawSetting(uint16_t id, uint32_t value) {
  return std::string{static_cast<char>(id >> 8), static_cast<char>(id)} + RawUint32(value);
}

std::vector<ParsedFrame> ParseFrames(std::string_view bytes) {
  std::vector<ParsedFrame> frames;
  while (bytes.size() >= 9) {
    const size_t length = ReadUint(bytes.substr(0, 3));
    if (bytes.size() < 9 + length) break;
    frames.push_back({static_cast<FrameType>(bytes[3]), static_cast<uint8_t>(bytes[4]),
                      ReadUint(bytes.substr(5, 4)), std::string(bytes.substr(9, length))});
    bytes.remove_prefix(9 + length);
  }
  return frames;
}

}  // namespace heddle::http
