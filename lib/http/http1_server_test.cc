#include "lib/http/http1_server.h"

#include <gtest/gtest.h>

#include "lib/io/testing/co_test.h"

namespace heddle::http {
namespace {

Task<Http1Response> EchoPath(Http1Request request) {
  Http1Response response;
  response.body = request.method + " " + request.path + " " + request.body;
  co_return response;
}

Task<Http1Response> AnswerNothing(Http1Request) {
  co_return Http1Response{.status = 204, .content_type = "", .body = ""};
}

std::span<const uint8_t> AsBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct Served {
  io::KernelNetwork network;
  std::unique_ptr<io::Listener> listener;
  io::SocketAddress address;
};

Served Listen(io::Loop& loop) {
  Served served;
  auto listener = served.network.Listen(loop, {io::IpAddress::V4(127, 0, 0, 1), 0});
  EXPECT_TRUE(listener);
  served.listener = *std::move(listener);
  served.address = served.listener->local();
  return served;
}

Task<std::unique_ptr<io::Connection>> Connect(io::Loop& loop, Served& served) {
  io::ConnectOptions options{.to = served.address, .bind = std::nullopt, .socket = UniqueFd()};
  auto connected = co_await served.network.Connect(loop, std::move(options), {});
  EXPECT_TRUE(connected);
  co_return *std::move(connected);
}

CO_TEST(Http1Server, AnswersARequestWithItsBody) {
  Served served = Listen(loop);
  Http1Server server(loop, EchoPath);
  Scope scope(loop);
  scope.Spawn(server.Run(std::move(served.listener), scope.stop()));
  auto connection = co_await Connect(loop, served);
  Http1Request request{
      .method = "POST", .path = "/x", .query = "", .content_length = 0, .body = "hello"};
  const auto response = co_await Http1Call(*connection, request, {});
  CO_ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->body, "POST /x hello");
  connection.reset();
  co_await scope.Drain();
}

CO_TEST(Http1Server, TellsGarbageWhatIsWrong) {
  Served served = Listen(loop);
  Http1Server server(loop, AnswerNothing);
  Scope scope(loop);
  scope.Spawn(server.Run(std::move(served.listener), scope.stop()));
  auto connection = co_await Connect(loop, served);
  const std::string garbage = "\x16\x03\x01 not http\r\n\r\n";
  EXPECT_TRUE(co_await connection->Write(AsBytes(garbage), StopToken()));
  const auto answer = co_await connection->Read(4096, {});
  CO_ASSERT_TRUE(answer.has_value());
  const std::string text(reinterpret_cast<const char*>(answer->data()), answer->size());
  EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << text;
  connection.reset();
  co_await scope.Drain();
}

CO_TEST(Http1Server, RefusesAnEndlessHead) {
  Served served = Listen(loop);
  Http1Server server(loop, AnswerNothing);
  Scope scope(loop);
  scope.Spawn(server.Run(std::move(served.listener), scope.stop()));
  auto connection = co_await Connect(loop, served);
  const std::string endless(2 * kHttp1HeadBytesMax, 'a');
  EXPECT_TRUE(co_await connection->Write(AsBytes(endless), StopToken()));
  const auto answer = co_await connection->Read(4096, {});
  CO_ASSERT_TRUE(answer.has_value());
  const std::string text(reinterpret_cast<const char*>(answer->data()), answer->size());
  EXPECT_TRUE(text.starts_with("HTTP/1.1 431 ")) << text;
  connection.reset();
  co_await scope.Drain();
}

}  // namespace
}  // namespace heddle::http
