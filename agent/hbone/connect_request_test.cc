#include "agent/hbone/connect_request.h"

#include <gtest/gtest.h>

namespace heddle::agent {
namespace {

const auto kSource = *io::SocketAddress::Parse("10.0.0.1:4711");

TEST(ConnectRequest, ReadsBackWhatItWrote) {
  const ConnectClaims claims{
      .source = {.namespace_name = "shop", .service_name = "web"},
      .service_host = "api.shop",
      .traceparent = "00-" + std::string(32, 'a') + "-" + std::string(16, 'b') + "-00"};
  const Authority authority = *io::SocketAddress::Parse("10.0.0.2:80");
  const auto read = ReadConnectRequest(MakeConnectRequest(authority, claims, kSource));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->authority, authority);
  EXPECT_EQ(read->claims, claims);
}

TEST(ConnectRequest, RefusesWhatIsNotAPlainConnect) {
  const http::Headers cases[] = {
      {},
      {{":method", "GET"}, {":authority", "10.0.0.2:80"}},
      {{":method", "CONNECT"}},
      {{":method", "CONNECT"}, {":authority", "10.0.0.2"}},
      {{":method", "CONNECT"}, {":authority", "10.0.0.2:80"}, {":path", "/"}},
      {{":method", "CONNECT"}, {":authority", "10.0.0.2:80"}, {":scheme", "http"}},
      {{":method", "CONNECT"}, {":authority", "10.0.0.2:80"}, {":authority", "10.0.0.3:80"}},
  };
  for (const auto& headers : cases) EXPECT_FALSE(ReadConnectRequest(headers));
}

TEST(ConnectRequest, IgnoresMalformedClaims) {
  const http::Headers headers{{":method", "CONNECT"},
                              {":authority", "10.0.0.2:80"},
                              {"baggage", "\x01"},
                              {"forwarded", "for=\xff"},
                              {"traceparent", "00-00"}};
  const auto read = ReadConnectRequest(headers);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->claims, ConnectClaims{});
}

}  // namespace
}  // namespace heddle::agent
