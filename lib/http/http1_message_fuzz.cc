// What comes to an admin port, and what an admin port answers. What was read once means the same
// when it is written and read again.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "lib/http/http1_message.h"

namespace heddle::http {
namespace {

void ReadRequest(std::string_view bytes) {
  const auto head_bytes = FindHttp1HeadEnd(bytes);
  if (!head_bytes) {
    CHECK(!ParseHttp1RequestHead(bytes));
    return;
  }
  const auto request = ParseHttp1RequestHead(bytes.substr(0, *head_bytes));
  if (!request) {
    CHECK(request.error().status >= 400 && !request.error().reason.empty());
    return;
  }
  const auto again = ParseHttp1RequestHead(SerializeHttp1Request(*request, "h"));
  CHECK(again && again->method == request->method && again->path == request->path);
  CHECK(again->query == request->query && again->content_length == request->body.size());
}

void ReadResponse(std::string_view bytes) {
  const auto response = ParseHttp1Response(bytes);
  if (!response) return;
  const auto again = ParseHttp1Response(SerializeHttp1Response(*response));
  CHECK(again && again->status == response->status && again->body == response->body);
}

}  // namespace
}  // namespace heddle::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  heddle::http::ReadRequest(bytes);
  heddle::http::ReadResponse(bytes);
  return 0;
}
