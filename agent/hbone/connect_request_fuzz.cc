// Input: lines "name: value", as the headers of a CONNECT request that the HTTP/2 session has
// passed on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/hbone/connect_request.h"
#include "agent/hbone/headers.h"
#include "lib/base/check.h"
#include "lib/base/random.h"

namespace heddle::agent {
namespace {

http::Headers ReadLines(std::string_view text) {
  http::Headers headers;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.Add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
  }
  return headers;
}

// What was accepted once means the same when it is written and read again.
void CheckRoundTrip(const ConnectRequest& request) {
  const io::SocketAddress source{io::IpAddress::V4(10, 0, 0, 1), 1};
  const auto again =
      ReadConnectRequest(MakeConnectRequest(request.authority, request.claims, source));
  CHECK(again.has_value());
  CHECK(again->authority == request.authority);
  CHECK(again->claims.traceparent == request.claims.traceparent);
  // Quotes around a host are taken off once more with each reading.
  const std::string& host = request.claims.service_host;
  const bool fits = EncodeForwarded(source, host).size() <= kMaxClaimBytes;
  if (fits && !host.starts_with('"')) CHECK(again->claims.service_host == host);
  // Several lines can add up to more than fits in the one that we write.
  if (EncodeBaggage(request.claims.source).size() > kMaxClaimBytes) return;
  CHECK(again->claims.source == request.claims.source);
}

}  // namespace
}  // namespace heddle::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // What we write where a request brings no trace id is one that we would accept.
  heddle::SeededRandom random(size);
  CHECK(heddle::agent::IsTraceparent(heddle::agent::NewTraceparent(random)));
  const auto request = heddle::agent::ReadConnectRequest(heddle::agent::ReadLines(text));
  if (request) heddle::agent::CheckRoundTrip(*request);
  return 0;
}
