// What a gRPC peer sends beside HTTP/2: messages on a stream, timeouts, statuses. The first byte
// says how the rest is read.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/grpc/framing.h"
#include "lib/grpc/metadata.h"
#include "lib/grpc/status.h"
#include "lib/grpc/timeout.h"

namespace heddle::grpc {
namespace {

constexpr size_t kMessageMax = 100;

// The messages in `bytes`, fed in pieces, up to an error. Every one is within the limit.
std::vector<std::string> Split(std::span<const uint8_t> bytes, size_t piece) {
  MessageReader reader(kMessageMax);
  std::vector<std::string> messages;
  while (!bytes.empty()) {
    const auto taken = reader.Feed(bytes.first(std::min(piece, bytes.size())));
    if (!taken.ok()) break;
    bytes = bytes.subspan(*taken);
    auto message = reader.TakeMessage();
    CHECK(message.has_value() || *taken > 0);
    if (!message) continue;
    CHECK(message->size() <= kMessageMax);
    messages.push_back(*std::move(message));
  }
  return messages;
}

void ReadMessages(std::span<const uint8_t> bytes) {
  const auto messages = Split(bytes, SIZE_MAX);
  CHECK(Split(bytes, 1) == messages && Split(bytes, 3) == messages);
  std::string again;
  for (const std::string& message : messages) again += Frame(message);
  CHECK(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
            .starts_with(again));
}

// A deadline is never earlier at the server than it was at the client.
void CheckFormat(absl::Duration timeout) {
  const auto read = ParseTimeout(FormatTimeout(timeout));
  CHECK(read.has_value());
  if (timeout <= absl::Hours(99'999'999)) CHECK(*read >= timeout);
}

void ReadTimeout(std::string_view text) {
  if (const auto timeout = ParseTimeout(text)) CheckFormat(*timeout);
  int64_t nanoseconds = 0;
  if (text.size() < sizeof(nanoseconds)) return;
  std::memcpy(&nanoseconds, text.data(), sizeof(nanoseconds));
  CheckFormat(absl::Nanoseconds(nanoseconds));
}

// "status message" as the trailers of a call.
void ReadStatus(std::string_view text) {
  CHECK(DecodeMessage(EncodeMessage(text)) == text);
  const size_t space = std::min(text.find(' '), text.size());
  http::Headers trailers = {{"grpc-status", std::string(text.substr(0, space))}};
  trailers.Add("grpc-message", std::string(text.substr(std::min(space + 1, text.size()))));
  const absl::Status status = StatusFromTrailers(trailers);
  http::Headers again;
  AppendStatus(status, again);
  CHECK(StatusFromTrailers(again) == status);
}

// What is no gRPC status at all, but an end of the stream by number: never a success.
void ReadFailure(std::span<const uint8_t> bytes) {
  int32_t code = 0;
  if (bytes.size() < sizeof(code)) return;
  std::memcpy(&code, bytes.data(), sizeof(code));
  CHECK(!StatusFromHttp(code).ok());
  const auto operation = io::Op::kRead;
  CHECK(!StatusFromError({io::ErrorDomain::kHttp2, operation, code}).ok());
  CHECK(!StatusFromError(io::Error::Errno(code, operation)).ok());
}

void Dispatch(char reader, std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  switch (reader) {
    case 'm': return ReadMessages(bytes);
    case 't': return ReadTimeout(text);
    case 's': return ReadStatus(text);
    case 'f': return ReadFailure(bytes);
    case 'c': return (void)IsGrpcContentType(text);
    default: return;
  }
}

}  // namespace
}  // namespace heddle::grpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  if (size > 0) heddle::grpc::Dispatch(static_cast<char>(data[0]), bytes.subspan(1));
  return 0;
}
