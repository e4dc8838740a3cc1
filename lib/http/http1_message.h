#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"

// HTTP/1.1 (RFC 9112) as far as an admin port needs it: one request and one answer per connection,
// bodies of known length. The traffic of applications never comes here.
namespace heddle::http {

inline constexpr size_t kHttp1HeadBytesMax =
    16 * 1024;  // Request line or status line with all header fields.

struct Http1Request {
  std::string method;
  std::string path;   // Without the query; not decoded.
  std::string query;  // Behind '?', not decoded.
  size_t content_length = 0;
  std::string body;
};

struct Http1Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// What is wrong with a message; the sentence is for the peer.
struct Http1Error {
  int status = 400;
  std::string reason;
};

// The length of the head (up to and with the empty line), once `bytes` holds all of it.
std::optional<size_t> FindHttp1HeadEnd(std::string_view bytes);

// Parses a complete head. Strict: no folded lines, no bare line feeds, no Transfer-Encoding, one
// Content-Length at most.
Result<Http1Request, Http1Error> ParseHttp1RequestHead(std::string_view head);
std::string SerializeHttp1Response(const Http1Response& response);

std::string SerializeHttp1Request(const Http1Request& request, std::string_view host);
// Parses a whole answer that ended with the connection.
Result<Http1Response, Http1Error> ParseHttp1Response(std::string_view message);

}  // namespace heddle::http
