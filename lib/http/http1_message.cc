#include "lib/http/http1_message.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "lib/base/strings.h"

namespace heddle::http {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

Unexpected<Http1Error> Bad(int status, std::string reason) {
  return std::unexpected(Http1Error{status, std::move(reason)});
}

bool IsToken(std::string_view text) {
  const auto is_token_char = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// Takes a line off the front; the caller knows that there is one.
std::string_view TakeLine(std::string_view& rest) {
  const size_t end = rest.find(kLineEnd);
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + kLineEnd.size());
  return line;
}

std::optional<size_t> ParseLength(std::string_view text) {
  size_t value = 0;
  const bool digits =
      !text.empty() && text.size() <= 10 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(ToAbsl(text), &value)) return std::nullopt;
  return value;
}

Result<std::optional<size_t>, Http1Error> ParseFields(std::string_view rest) {
  std::optional<size_t> length;
  while (rest != kLineEnd) {
    const std::string_view line = TakeLine(rest);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)))
      return Bad(400, "malformed header field");
    if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
      return Bad(400, "malformed header field");
    const std::string name = absl::AsciiStrToLower(ToAbsl(line.substr(0, colon)));
    const std::string_view value =
        ToStd(absl::StripAsciiWhitespace(ToAbsl(line.substr(colon + 1))));
    if (name == "transfer-encoding") return Bad(501, "Transfer-Encoding is not supported here");
    if (name != "content-length") continue;
    if (length) return Bad(400, "more than one Content-Length");
    length = ParseLength(value);
    if (!length) return Bad(400, "malformed Content-Length");
  }
  return length;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default: return "Status";
  }
}

}  // namespace

std::optional<size_t> FindHttp1HeadEnd(std::string_view bytes) {
  const size_t at = bytes.find(kHeadEnd);
  if (at == std::string_view::npos) return std::nullopt;
  return at + kHeadEnd.size();
}

Result<Http1Request, Http1Error> ParseHttp1RequestHead(std::string_view head) {
  if (!head.ends_with(kHeadEnd)) return Bad(400, "incomplete request");
  std::string_view rest = head;
  const std::string_view line = TakeLine(rest);
  const size_t method_end = line.find(' ');
  const size_t target_end = line.rfind(' ');
  if (method_end == std::string_view::npos || target_end <= method_end)
    return Bad(400, "malformed request line");
  const std::string_view method = line.substr(0, method_end);
  const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
  const std::string_view version = line.substr(target_end + 1);
  if (!IsToken(method) || target.empty() || target[0] != '/' || !IsVisible(target))
    return Bad(400, "malformed request line");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Bad(400, "not HTTP/1.1");
  TRY(const auto length, ParseFields(rest));
  const size_t question = target.find('?');
  Http1Request request;
  request.method = std::string(method);
  request.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
  request.content_length = length.value_or(0);
  return request;
}

std::string SerializeHttp1Response(const Http1Response& response) {
  return absl::StrCat("HTTP/1.1 ", response.status, " ", ToAbsl(ReasonPhrase(response.status)),
                      "\r\nContent-Type: ", response.content_type,
                      "\r\nContent-Length: ", response.body.size(), "\r\nConnection: close\r\n\r\n",
                      response.body);
}

std::string SerializeHttp1Request(const Http1Request& request, std::string_view host) {
  return absl::StrCat(request.method, " ", request.path, request.query.empty() ? "" : "?",
                      request.query, " HTTP/1.1\r\nHost: ", ToAbsl(host),
                      "\r\nContent-Length: ", request.body.size(), "\r\nConnection: close\r\n\r\n",
                      request.body);
}

Result<Http1Response, Http1Error> ParseHttp1Response(std::string_view message) {
  const auto head_size = FindHttp1HeadEnd(message);
  if (!head_size) return Bad(502, "incomplete answer");
  std::string_view rest = message.substr(0, *head_size);
  const std::string_view line = TakeLine(rest);
  const auto status = line.size() >= 12 && line.starts_with("HTTP/1.")
                          ? ParseLength(line.substr(9, 3))
                          : std::nullopt;
  if (!status || *status < 100) return Bad(502, "malformed status line");
  TRY(const auto length, ParseFields(rest));
  const std::string_view body = message.substr(*head_size);
  if (length && *length != body.size()) return Bad(502, "the answer was cut short");
  Http1Response response;
  response.status = static_cast<int>(*status);
  response.body = std::string(body);
  return response;
}

}  // namespace heddle::http
