#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace heddle::grpc {

// Messages on a stream:   | compressed 0/1 | length, 4 bytes, big endian | message |
inline constexpr size_t kPrefixBytes = 5;
// The default of every gRPC implementation.
inline constexpr size_t kMessageBytesMax = 4 * 1024 * 1024;

// The prefix of a message of that size that is not compressed.
std::string Prefix(size_t message_size);
// The whole message with it.
std::string Frame(std::string_view message);

// Cuts a stream of bytes into messages. Pure. An error is final: a message that is too large
// (RESOURCE_EXHAUSTED), compressed (UNIMPLEMENTED, we offer no compression) or has a broken flag
// (INTERNAL).
class MessageReader {
 public:
  explicit MessageReader(size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  // Takes bytes; all of them, unless a message has become complete: returns how many it took. Take
  // the message with TakeMessage() and give the rest.
  absl::StatusOr<size_t> Feed(std::span<const uint8_t> bytes);
  // The complete message, once.
  std::optional<std::string> TakeMessage();
  // In the middle of a message: an end of the stream now is an error.
  bool partial() const { return prefix_size_ > 0; }

 private:
  absl::Status ParsePrefix();

  const size_t message_bytes_max_;
  uint8_t prefix_[kPrefixBytes] = {};
  size_t prefix_size_ = 0;
  size_t message_size_ = 0;
  std::string message_;
};

}  // namespace heddle::grpc
