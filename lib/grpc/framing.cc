#include "lib/grpc/framing.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace heddle::grpc {

std::string Prefix(size_t message_size) {
  std::string prefix(1, 0);
  for (int shift = 24; shift >= 0; shift -= 8)
    prefix.push_back(static_cast<char>(message_size >> shift));
  return prefix;
}

std::string Frame(std::string_view message) {
  std::string framed = Prefix(message.size());
  framed += message;
  return framed;
}

absl::StatusOr<size_t> MessageReader::Feed(std::span<const uint8_t> bytes) {
  const size_t given = bytes.size();
  while (prefix_size_ < kPrefixBytes && !bytes.empty()) {
    prefix_[prefix_size_++] = bytes.front();
    bytes = bytes.subspan(1);
    if (prefix_size_ < kPrefixBytes) continue;
    if (absl::Status parsed = ParsePrefix(); !parsed.ok()) return parsed;
  }
  if (prefix_size_ == kPrefixBytes) {
    const size_t wanted = std::min(bytes.size(), message_size_ - message_.size());
    message_.append(reinterpret_cast<const char*>(bytes.data()), wanted);
    bytes = bytes.subspan(wanted);
  }
  return given - bytes.size();
}

absl::Status MessageReader::ParsePrefix() {
  if (prefix_[0] == 1)
    return absl::UnimplementedError("compressed message without agreed compression");
  if (prefix_[0] != 0)
    return absl::InternalError(absl::StrCat("broken message: compression flag ", prefix_[0]));
  message_size_ = static_cast<size_t>(prefix_[1]) << 24 | static_cast<size_t>(prefix_[2]) << 16 |
                  static_cast<size_t>(prefix_[3]) << 8 | prefix_[4];
  if (message_size_ > message_bytes_max_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "message of ", message_size_, " bytes; at most ", message_bytes_max_, " are accepted"));
  }
  // Memory is taken as bytes come, not on the peer's word.
  constexpr size_t kReserveMax = 64 * 1024;
  message_.reserve(std::min(message_size_, kReserveMax));
  return absl::OkStatus();
}

std::optional<std::string> MessageReader::TakeMessage() {
  if (prefix_size_ < kPrefixBytes || message_.size() < message_size_) return std::nullopt;
  prefix_size_ = 0;
  return std::exchange(message_, {});
}

}  // namespace heddle::grpc
