#include "lib/io/testing/pipe.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/io/testing/co_test.h"

namespace heddle::io {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Task<Result<std::string>> ReadAll(Stream& stream, StopToken stop) {
  std::string all;
  while (true) {
    CO_TRY(const Buffer buffer, co_await stream.Read(BufferPool::kSmall, stop));
    if (buffer.empty()) co_return all;
    all.append(buffer.bytes().begin(), buffer.bytes().end());
  }
}

CO_TEST(Pipe, DeliversWhatWasWrittenThenTheEnd) {
  auto [client, server] = MakePipe(loop);
  EXPECT_TRUE(co_await client->Write(Bytes("hello"), {}));
  EXPECT_TRUE(co_await client->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*server, {}), "hello");
  EXPECT_TRUE(co_await server->Write(Bytes("world"), {})) << "the other direction goes on";
  server.reset();
  EXPECT_EQ(co_await ReadAll(*client, {}), "world");
}

CO_TEST(Pipe, MakesAWriterWaitForAReader) {
  auto [client, server] = MakePipe(loop, {.capacity = 10});
  StopSource stop;
  Deadline soon(loop, {}, absl::Milliseconds(1));
  const Result<void> stalled = co_await client->Write(Bytes(std::string(11, 'x')), soon.token());
  CO_ASSERT_TRUE(!stalled);
  EXPECT_TRUE(stalled.error().is(IoCode::kDeadline));
  const auto got = co_await server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), 10u);
}

CO_TEST(Pipe, ReadsShortWhenAsked) {
  auto [client, server] = MakePipe(loop, {.read_max = 2});
  EXPECT_TRUE(co_await client->Write(Bytes("abc"), {}));
  const auto got = co_await server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), 2u);
}

CO_TEST(Pipe, ShowsAResetAfterWhatCameBefore) {
  auto [client, server] = MakePipe(loop);
  EXPECT_TRUE(co_await client->Write(Bytes("last words"), {}));
  client->Reset();
  const auto got = co_await server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), 10u);
  const auto after = co_await server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!after);
  EXPECT_TRUE(after.error().is_errno(ECONNRESET));
  const auto own = co_await client->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!own);
  EXPECT_TRUE(own.error().is(IoCode::kClosed));
}

CO_TEST(Pipe, RefusesWritesWhenThePeerIsGone) {
  auto [client, server] = MakePipe(loop);
  server.reset();
  const auto written = co_await client->Write(Bytes("x"), {});
  CO_ASSERT_TRUE(!written);
  EXPECT_TRUE(written.error().is_errno(EPIPE));
}

}  // namespace
}  // namespace heddle::io
