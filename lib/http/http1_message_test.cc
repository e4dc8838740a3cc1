#include "lib/http/http1_message.h"

#include <gtest/gtest.h>

namespace heddle::http {
namespace {

TEST(Http1Request, ParsesPathAndQuery) {
  const auto request = ParseHttp1RequestHead(
      "GET /debug/pods?name=a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(request) << request.error().reason;
  EXPECT_EQ(request->method, "GET");
  EXPECT_EQ(request->path, "/debug/pods");
  EXPECT_EQ(request->query, "name=a");
  EXPECT_EQ(request->content_length, 3u);
}

TEST(Http1Request, RefusesWhatIsAmbiguousOrMalformed) {
  struct Case {
    const char* head;
    int status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"GET  HTTP/1.1\r\n\r\n", 400},
      {"GET http://a/ HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\n\r\n", 400},
      {"G(T / HTTP/1.1\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nA: b\nc\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
  };
  for (const Case& c : cases) {
    const auto request = ParseHttp1RequestHead(c.head);
    ASSERT_FALSE(request) << c.head;
    EXPECT_EQ(request.error().status, c.status) << c.head;
  }
}

TEST(Http1Response, GoesThroughItsOwnParser) {
  Http1Response response;
  response.status = 404;
  response.body = "no such path\n";
  const auto parsed = ParseHttp1Response(SerializeHttp1Response(response));
  ASSERT_TRUE(parsed) << parsed.error().reason;
  EXPECT_EQ(parsed->status, 404);
  EXPECT_EQ(parsed->body, response.body);
}

TEST(Http1Response, RefusesAStatusThatIsNone) {
  for (const char* line : {"HTTP/1.1 099 No", "HTTP/1.1 20 OK", "HTTP/1.1 2x0 OK", "HTTP/2 200"}) {
    EXPECT_FALSE(ParseHttp1Response(std::string(line) + "\r\n\r\n")) << line;
  }
}

TEST(Http1Response, NoticesThatItWasCutShort) {
  Http1Response response;
  response.body = "0123456789";
  std::string text = SerializeHttp1Response(response);
  text.pop_back();
  EXPECT_FALSE(ParseHttp1Response(text));
}

}  // namespace
}  // namespace heddle::http
