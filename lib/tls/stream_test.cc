#include "lib/tls/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "lib/base/scope.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/io/read_size.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/pipe.h"
#include "lib/tls/testing/authority.h"
#include "lib/tls/testing/engine_pair.h"

namespace heddle::tls {
namespace {

using io::Buffer;
using io::BufferPool;
using io::IoCode;
using io::Loop;
using testing::HasSubstr;

// Both ends over a pipe, and the pipe's ends for whoever wants to do harm.
class Ends {
 public:
  explicit Ends(Loop& loop, const io::PipeOptions& options = {}) : loop_(loop) {
    io::Pipe pipe = io::MakePipe(loop, options);
    client_transport = pipe.first.get();
    server_transport = pipe.second.get();
    client = Make(std::move(pipe.first), "sleep", Role::kClient, OneOfIdentities{{server_id_}});
    server =
        Make(std::move(pipe.second), "httpbin", Role::kServer, AnyInTrustDomain{"cluster.local"});
  }

  // Both handshakes at once; true when both succeed.
  Task<bool> Open() {
    std::optional<io::Result<void>> served;
    Scope scope(loop_);
    scope.Spawn(Serve(served));
    const io::Result<void> connected = co_await client->Handshake({});
    co_await scope.Join();
    co_return connected&& served.has_value() && *served;
  }

  Task<void> Serve(std::optional<io::Result<void>>& result) {
    result = co_await server->Handshake({});
  }

  Loop& loop() { return loop_; }

  io::Connection* client_transport;
  io::Connection* server_transport;
  std::unique_ptr<TlsStream> client;
  std::unique_ptr<TlsStream> server;

 private:
  std::unique_ptr<TlsStream> Make(std::unique_ptr<io::Stream> transport, std::string_view account,
                                  Role role, PeerRule rule) {
    return std::make_unique<TlsStream>(
        loop_, std::move(transport),
        authority_.Context(authority_.Issue(MakeId("default", account))), role, std::move(rule));
  }

  Loop& loop_;
  FakeClock clock_;
  TestAuthority authority_{clock_};
  const SpiffeId server_id_ = MakeId("default", "httpbin");
};

Task<io::Result<std::string>> ReadAll(io::Stream& stream, size_t hint = BufferPool::kSmall) {
  std::string all;
  for (;;) {
    CO_TRY(const Buffer buffer, co_await stream.Read(hint, {}));
    if (buffer.empty()) co_return all;
    all.append(buffer.bytes().begin(), buffer.bytes().end());
  }
}

Task<void> SendAndShut(io::Stream& stream, std::string text) {
  const io::Result<void> written = co_await stream.Write(AsBytes(text), {});
  EXPECT_TRUE(written) << written.error().ToString();
  const io::Result<void> shut = co_await stream.ShutdownWrite({});
  EXPECT_TRUE(shut) << shut.error().ToString();
}

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 2654435761u) >> 13);
  return text;
}

CO_TEST(TlsStream, AgreesAndCarriesBytesBothWays) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  EXPECT_EQ(ends.server->peer().identity, MakeId("default", "sleep"));
  EXPECT_EQ(ends.client->alpn(), "h2");
  EXPECT_TRUE(co_await ends.client->Write(AsBytes("hello"), {}));
  const auto got = co_await ends.server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(got);
  EXPECT_EQ(std::string(got->bytes().begin(), got->bytes().end()), "hello");
}

CO_TEST(TlsStream, LastFlightLeavesWithTheFirstWrite) {
  Ends ends(loop);
  std::optional<io::Result<void>> served;
  Scope scope(loop);
  scope.Spawn(ends.Serve(served));
  CO_ASSERT_TRUE(co_await ends.client->Handshake({}, LastFlight::kWithFirstWrite));
  co_await loop.Sleep(absl::Milliseconds(1), {});
  EXPECT_FALSE(served.has_value());  // The server waits for the end.
  EXPECT_TRUE(co_await ends.client->Write(AsBytes("hello"), {}));
  co_await scope.Join();
  CO_ASSERT_TRUE(served && *served);
  // It came with the end of the handshake: nothing more has to be read.
  ends.server_transport->Reset();
  const auto got = co_await ends.server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(got);
  EXPECT_EQ(std::string(got->bytes().begin(), got->bytes().end()), "hello");
}

CO_TEST(TlsStream, CarriesMuchBothWaysAtOnceThroughSmallPipesAndShortReads) {
  Ends ends(loop, {.capacity = 3000, .read_max = 777});
  CO_ASSERT_TRUE(co_await ends.Open());
  const std::string up = Pattern(700'000), down = Pattern(500'000);
  Scope scope(loop);
  scope.Spawn(SendAndShut(*ends.client, up));
  scope.Spawn(SendAndShut(*ends.server, down));
  auto receive = [](TlsStream& stream, const std::string& want) -> Task<void> {
    const auto got = co_await ReadAll(stream);
    EXPECT_TRUE(got && *got == want);
  };
  scope.Spawn(receive(*ends.server, up));
  scope.Spawn(receive(*ends.client, down));
  co_await scope.Join();
}

CO_TEST(TlsStream, HalfClosesInBothOrders) {
  for (const bool client_first : {true, false}) {
    Ends ends(loop);
    CO_ASSERT_TRUE(co_await ends.Open());
    TlsStream& first = client_first ? *ends.client : *ends.server;
    TlsStream& second = client_first ? *ends.server : *ends.client;
    co_await SendAndShut(first, "question");
    auto got = co_await ReadAll(second);
    EXPECT_TRUE(got && *got == "question");
    co_await SendAndShut(second, "answer");
    got = co_await ReadAll(first);
    EXPECT_TRUE(got && *got == "answer");
    const auto closed = co_await first.Write(AsBytes("x"), {});
    CO_ASSERT_TRUE(!closed);
    EXPECT_TRUE(closed.error().is(IoCode::kClosed));
  }
}

CO_TEST(TlsStream, ReportsAnEndWithoutCloseNotify) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  EXPECT_TRUE(co_await ends.client->Write(AsBytes("half"), {}));
  EXPECT_TRUE(co_await ends.client_transport->ShutdownWrite({}));
  const auto got = co_await ReadAll(*ends.server);
  CO_ASSERT_TRUE(!got);
  EXPECT_TRUE(got.error().is(IoCode::kUnexpectedEof)) << got.error().ToString();
  EXPECT_THAT(ends.server->failure(), HasSubstr("without close_notify"));
}

CO_TEST(TlsStream, PassesAResetOn) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  ends.client->Reset();
  const auto got = co_await ends.server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!got);
  EXPECT_TRUE(got.error().is_errno(ECONNRESET)) << got.error().ToString();
}

CO_TEST(TlsStream, DeliversWhatCameBeforeGarbageThenFailsAndTellsThePeer) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  EXPECT_TRUE(co_await ends.client->Write(AsBytes("good"), {}));
  EXPECT_TRUE(co_await ends.client_transport->Write(AsBytes("this is no record"), {}));
  const auto good = co_await ends.server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(good);
  EXPECT_EQ(good->size(), 4u);
  const auto bad = co_await ends.server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!bad);
  EXPECT_EQ(bad.error().domain, io::ErrorDomain::kTls);
  const auto alert = co_await ends.client->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!alert);
  EXPECT_EQ(alert.error().code, static_cast<int32_t>(TlsError::kAlert)) << ends.client->failure();
  const auto after = co_await ends.server->Write(AsBytes("x"), {});
  EXPECT_FALSE(after);
}

CO_TEST(TlsStream, FailsAHandshakeWithSomethingThatIsNotTls) {
  Ends ends(loop);
  EXPECT_TRUE(co_await ends.client_transport->Write(AsBytes("GET / HTTP/1.1\r\n\r\n"), {}));
  const auto result = co_await ends.server->Handshake({});
  CO_ASSERT_TRUE(!result);
  EXPECT_EQ(result.error().code, static_cast<int32_t>(TlsError::kProtocol));
  EXPECT_THAT(ends.server->failure(), HasSubstr("during the TLS handshake"));
}

CO_TEST(TlsStream, FailsAHandshakeThatIsCutOffOrTakesTooLong) {
  Ends cut(loop);
  EXPECT_TRUE(co_await cut.client_transport->ShutdownWrite({}));
  const auto ended = co_await cut.server->Handshake({});
  CO_ASSERT_TRUE(!ended);
  EXPECT_TRUE(ended.error().is(IoCode::kUnexpectedEof));

  Ends silent(loop);
  Deadline soon(loop, {}, absl::Milliseconds(1));
  const auto late = co_await silent.server->Handshake(soon.token());
  CO_ASSERT_TRUE(!late);
  EXPECT_TRUE(late.error().is(IoCode::kDeadline));
}

CO_TEST(TlsStream, MakesAWriterWaitForAReaderAndCannotWriteAfterBeingStopped) {
  Ends ends(loop, {.capacity = 16 * 1024});
  CO_ASSERT_TRUE(co_await ends.Open());
  Deadline soon(loop, {}, absl::Milliseconds(1));
  const auto stalled =
      co_await ends.client->Write(AsBytes(std::string(100'000, 'x')), soon.token());
  CO_ASSERT_TRUE(!stalled);
  EXPECT_TRUE(stalled.error().is(IoCode::kDeadline));
  // Part of a record may be on the wire: nothing good can follow it.
  EXPECT_FALSE(co_await ends.client->Write(AsBytes("y"), {}));
  EXPECT_FALSE(co_await ends.client->ShutdownWrite({}));
}

CO_TEST(TlsStream, StopsAReadWithoutLosingBytes) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  Deadline soon(loop, {}, absl::Milliseconds(1));
  const auto stopped = co_await ends.server->Read(BufferPool::kSmall, soon.token());
  CO_ASSERT_TRUE(!stopped);
  EXPECT_TRUE(stopped.error().is(IoCode::kDeadline));
  co_await SendAndShut(*ends.client, "still here");
  const auto got = co_await ReadAll(*ends.server);
  EXPECT_TRUE(got && *got == "still here");
}

CO_TEST(TlsStream, ReadsAFullRecordAtOnce) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  EXPECT_TRUE(co_await ends.client->Write(AsBytes(Pattern(kRecordPlaintextMax)), {}));
  const auto got = co_await ends.server->Read(kRecordPlaintextMax, {});
  CO_ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), kRecordPlaintextMax);
}

// The rest of a record that began in an earlier read has room beside a full one's.
CO_TEST(TlsStream, LeavesNothingOfALargeReadForTheNext) {
  Ends ends(loop, {.capacity = size_t{1} << 20});
  CO_ASSERT_TRUE(co_await ends.Open());
  const std::string sent = Pattern(2 * io::ReadSize::kLargest);
  EXPECT_TRUE(co_await ends.client->Write(AsBytes(sent), {}));
  const auto first = co_await ends.server->Read(io::ReadSize::kLargest, {});
  const auto second = co_await ends.server->Read(io::ReadSize::kLargest, {});
  CO_ASSERT_TRUE(first && second);
  EXPECT_GT(first->size(), io::ReadSize::kLargest - 2 * kRecordPlaintextMax);
  EXPECT_GT(second->size(), io::ReadSize::kLargest - kRecordPlaintextMax);
}

CO_TEST(TlsStream, HoldsNoBuffersWhenIdle) {
  Ends ends(loop);
  CO_ASSERT_TRUE(co_await ends.Open());
  const std::string sent = Pattern(50'000);
  EXPECT_TRUE(co_await ends.client->Write(AsBytes(sent), {}));
  size_t received = 0;
  while (received < sent.size()) {
    const auto got = co_await ends.server->Read(BufferPool::kBulk, {});
    CO_ASSERT_TRUE(got);
    received += got->size();
  }
  EXPECT_EQ(loop.buffers().stats().in_use_bytes, 0u);
}

}  // namespace
}  // namespace heddle::tls
