#include "lib/http/h2_connection.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "lib/http/testing/connection_pair.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/told_watcher.h"

namespace heddle::http {
namespace {

// Both ends of one stream that has been answered with 200.
struct StreamEnds {
  std::unique_ptr<H2Stream> client;
  std::unique_ptr<H2Stream> server;
};

Task<StreamEnds> OpenStream(ConnectionPair& pair, Headers request = kConnect) {
  StreamEnds ends;
  ends.client = *pair.client.Open(request);
  ends.server = co_await pair.server.Accept({});
  CHECK(ends.server != nullptr && ends.server->Respond(kOk, false));
  CHECK(co_await ends.client->Response({}));
  co_return ends;
}

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

Task<void> WriteAndEnd(io::Stream& stream, std::string text) {
  EXPECT_TRUE(co_await stream.Write(AsBytes(text), {}));
  EXPECT_TRUE(co_await stream.ShutdownWrite({}));
}

CO_TEST(H2Connection, CarriesARequestWithBodyAndTrailers) {
  ConnectionPair pair(loop);
  {
    auto client = *pair.client.Open(kPost);
    auto server = co_await pair.server.Accept({});
    CO_ASSERT_TRUE(server);
    EXPECT_EQ(server->headers(), kPost);
    co_await WriteAndEnd(*client, "question");
    EXPECT_EQ(co_await ReadAll(*server), "question");
    EXPECT_TRUE(server->Respond({{":status", "200"}, {"x", "y"}}, false));
    EXPECT_TRUE(co_await server->Write(AsBytes("answer"), {}));
    EXPECT_TRUE(server->EndWithTrailers({{"grpc-status", "0"}}));
    auto response = co_await client->Response({});
    CO_ASSERT_TRUE(response);
    EXPECT_EQ((*response)->Get("x"), "y");
    EXPECT_EQ(co_await ReadAll(*client), "answer");
    EXPECT_EQ(client->trailers().Get("grpc-status"), "0");
    EXPECT_EQ(pair.client.active_streams(), 1u);
  }
  EXPECT_EQ(pair.client.active_streams() + pair.server.active_streams(), 0u);
  co_await pair.End();
  EXPECT_FALSE(pair.client.failure());
  EXPECT_FALSE(pair.server.failure());
}

CO_TEST(H2Connection, CarriesMegabytesBothWaysAtOnceOverShortReads) {
  ConnectionPair pair(loop, {.capacity = 5'000, .read_max = 777});
  {
    StreamEnds ends = co_await OpenStream(pair);
    const std::string up = Pattern(3'000'000);
    const std::string down = Pattern(2'000'001);
    Scope scope(loop);
    scope.Spawn(WriteAndEnd(*ends.client, up));
    scope.Spawn(WriteAndEnd(*ends.server, down));
    EXPECT_TRUE(co_await ReadAll(*ends.server) == up);
    EXPECT_TRUE(co_await ReadAll(*ends.client) == down);
    co_await scope.Join();
  }
  co_await pair.End();
}

CO_TEST(H2Connection, OneByteWritesArrive) {
  ConnectionPair pair(loop, {.read_max = 1});
  {
    StreamEnds ends = co_await OpenStream(pair);
    for (const char c : std::string("letters")) {
      EXPECT_TRUE(co_await ends.client->Write(AsBytes(std::string_view(&c, 1)), {}));
    }
    EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
    EXPECT_EQ(co_await ReadAll(*ends.server), "letters");
  }
  co_await pair.End();
}

CO_TEST(H2Connection, EndOfOneDirectionLeavesTheOtherOpen) {
  ConnectionPair pair(loop);
  for (const bool client_first : {true, false}) {
    StreamEnds ends = co_await OpenStream(pair);
    H2Stream& first = client_first ? *ends.client : *ends.server;
    H2Stream& second = client_first ? *ends.server : *ends.client;
    co_await WriteAndEnd(first, "early");
    EXPECT_EQ(co_await ReadAll(second), "early");
    co_await WriteAndEnd(second, "late");
    EXPECT_EQ(co_await ReadAll(first), "late");
  }
  co_await pair.End();
}

CO_TEST(H2Connection, ResetIsAnErrorWithItsCodeAndNeverAnEnd) {
  ConnectionPair pair(loop);
  for (const ErrorCode code : {ErrorCode::kNoError, ErrorCode::kCancel, ErrorCode::kConnectError}) {
    StreamEnds ends = co_await OpenStream(pair);
    ends.server->Reset(code);
    auto read = co_await ends.client->Read(100, {});
    CO_ASSERT_TRUE(!read);
    EXPECT_EQ(read.error(), ToError(code, io::Op::kRead));
    EXPECT_TRUE(ends.client->aborted().requested());
    auto written = co_await ends.client->Write(AsBytes("x"), {});
    EXPECT_FALSE(written);
    auto own = co_await ends.server->Read(100, {});
    CO_ASSERT_TRUE(!own);
    EXPECT_TRUE(own.error().is(io::IoCode::kClosed));
  }
  co_await pair.End();
}

Task<void> RecordBroken(H2Stream& stream, std::optional<io::Error>& out) {
  out = co_await stream.AwaitBroken({});
}

CO_TEST(H2Connection, TellsOfAResetWithoutReading) {
  ConnectionPair pair(loop);
  auto ends = co_await OpenStream(pair);
  std::optional<io::Error> broken;
  Scope scope(loop);
  scope.Spawn(RecordBroken(*ends.server, broken));
  ends.client->Reset();
  co_await scope.Join();
  CO_ASSERT_TRUE(broken.has_value());
  EXPECT_TRUE(Is(*broken, ErrorCode::kConnectError)) << broken->ToString();
  ends = {};
  co_await pair.End();
}

CO_TEST(H2Connection, TellsAWatcherOfBytesOfTheEndAndOfAReset) {
  ConnectionPair pair(loop);
  {
    auto ends = co_await OpenStream(pair);
    auto other = co_await OpenStream(pair);
    io::ToldWatcher watcher(loop);
    ends.server->Unwatch();
    EXPECT_EQ(watcher.times, 0);
    ends.server->Watch(watcher);
    EXPECT_EQ(watcher.times, 0);
    EXPECT_TRUE(co_await ends.client->Write(AsBytes("hello"), {}));
    co_await watcher.Told();
    ends.server->Watch(watcher);  // What is there already, too.
    EXPECT_EQ(std::exchange(watcher.times, 0), 1);
    EXPECT_EQ((*co_await ends.server->Read(100, {})).size(), 5u);
    ends.server->Watch(watcher);
    EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
    co_await watcher.Told();
    EXPECT_TRUE((*co_await ends.server->Read(100, {})).empty());
    other.server->Watch(watcher);
    other.client->Reset();
    co_await watcher.Told();
    EXPECT_FALSE(co_await other.server->Read(100, {}));
    ends.client->Watch(watcher);
    ends.client->Reset();  // Our own.
    co_await watcher.Told();
  }
  co_await pair.End();
}

CO_TEST(H2Connection, WhatCameBeforeAnOrderlyEndSurvivesALaterReset) {
  ConnectionPair pair(loop);
  {
    StreamEnds ends = co_await OpenStream(pair, kPost);
    co_await WriteAndEnd(*ends.server, "all of it");
    ends.server.reset();  // The client has not ended: RST_STREAM(NO_ERROR) after the answer.
    while (!ends.client->failure()) co_await loop.Yield();
    EXPECT_EQ(co_await ReadAll(*ends.client), "all of it");
  }
  co_await pair.End();
}

CO_TEST(H2Connection, AStreamThatEndedInOrderIsNotBrokenByWhatFollows) {
  ConnectionPair pair(loop);
  StreamEnds ends = co_await OpenStream(pair);
  std::optional<io::Error> broken = io::Error::Errno(EIO, io::Op::kRead);
  Scope scope(loop);
  scope.Spawn(RecordBroken(*ends.client, broken));
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.server), "");
  co_await WriteAndEnd(*ends.server, "all of it");
  co_await scope.Join();
  EXPECT_FALSE(broken) << broken->ToString();
  pair.server.Close(ErrorCode::kInternalError, "lost");
  while (!ends.client->failure()) co_await loop.Yield();
  EXPECT_FALSE(co_await ends.client->AwaitBroken({}));
  EXPECT_EQ(co_await ReadAll(*ends.client), "all of it");
  ends = {};
  co_await pair.End();
}

CO_TEST(H2Connection, DestroyedStreamIsReset) {
  ConnectionPair pair(loop);
  {
    StreamEnds ends = co_await OpenStream(pair);
    ends.client.reset();
    auto read = co_await ends.server->Read(100, {});
    CO_ASSERT_TRUE(!read);
    EXPECT_TRUE(Is(read.error(), ErrorCode::kCancel));
  }
  co_await pair.End();
}

CO_TEST(H2Connection, LostConnectionIsAnErrorOfAllStreams) {
  io::Pipe pipe = io::MakePipe(loop);
  H2ClientConnection client(loop, std::move(pipe.first), PatientOptions());
  Scope scope(loop);
  scope.Spawn(client.Run({}));
  auto stream = *client.Open(kConnect);
  co_await loop.Yield();
  pipe.second->Reset();
  auto response = co_await stream->Response({});
  CO_ASSERT_TRUE(!response);
  EXPECT_TRUE(response.error().is_errno(ECONNRESET)) << response.error().ToString();
  EXPECT_FALSE(client.usable());
  EXPECT_FALSE(client.Open(kConnect));
  stream.reset();
  co_await scope.Join();
  EXPECT_TRUE(client.failure()->is_errno(ECONNRESET));
}

CO_TEST(H2Connection, EndOfTheTransportInTheMiddleOfAStreamIsAnError) {
  io::Pipe pipe = io::MakePipe(loop);
  H2ClientConnection client(loop, std::move(pipe.first), PatientOptions());
  Scope scope(loop);
  scope.Spawn(client.Run({}));
  auto stream = *client.Open(kConnect);
  EXPECT_TRUE(co_await pipe.second->ShutdownWrite({}));
  auto response = co_await stream->Response({});
  CO_ASSERT_TRUE(!response);
  EXPECT_TRUE(response.error().is(io::IoCode::kUnexpectedEof));
  stream.reset();
  co_await scope.Join();
}

CO_TEST(H2Connection, RefusedConnectCarriesNoBytes) {
  ConnectionPair pair(loop);
  {
    auto client = *pair.client.Open(kConnect);
    auto server = co_await pair.server.Accept({});
    Deadline soon(loop, {}, absl::Milliseconds(5));
    auto early = co_await server->Read(100, soon.token());
    CO_ASSERT_TRUE(!early);
    EXPECT_TRUE(early.error().is(io::IoCode::kDeadline));
    EXPECT_TRUE(server->Respond({{":status", "503"}}, true));
    auto refused = co_await server->Read(100, {});
    CO_ASSERT_TRUE(!refused);
    EXPECT_TRUE(refused.error().is(io::IoCode::kClosed));
    EXPECT_EQ((*co_await client->Response({}))->status(), 503);
    auto body = co_await client->Read(100, {});
    CO_ASSERT_TRUE(!body);
    EXPECT_TRUE(body.error().is(io::IoCode::kClosed));
  }
  co_await pair.End();
}

CO_TEST(H2Connection, BytesSentWithAConnectWaitForTheAnswer) {
  io::Pipe pipe = io::MakePipe(loop);
  H2ServerConnection server(loop, std::move(pipe.second), PatientOptions());
  StopSource stop;
  Scope scope(loop);
  scope.Spawn(server.Run(stop.token()));
  const std::string eager = std::string(kClientPreface) + RawFrame(FrameType::kSettings, 0, 0) +
                            RawHeaders(1, kConnect, false) +
                            RawFrame(FrameType::kData, kEndStreamFlag, 1, "early");
  EXPECT_TRUE(co_await pipe.first->Write(AsBytes(eager), {}));
  auto stream = co_await server.Accept({});
  CO_ASSERT_TRUE(stream);
  Deadline soon(loop, {}, absl::Milliseconds(5));
  EXPECT_FALSE(co_await stream->Read(100, soon.token()));
  EXPECT_TRUE(stream->Respond(kOk, false));
  EXPECT_EQ(co_await ReadAll(*stream), "early");
  stream.reset();
  stop.RequestStop();
  co_await scope.Join();
}

CO_TEST(H2Connection, StalledReaderHoldsOneWindowAndDoesNotStopOthers) {
  ConnectionPair pair(loop);
  {
    StreamEnds stalled = co_await OpenStream(pair);
    StreamEnds moving = co_await OpenStream(pair);
    StopSource stop;
    const std::string big = Pattern(1'000'000);
    Scope scope(loop);
    const auto write_until_stopped = [](H2Stream& stream, const std::string& text,
                                        StopToken token) -> Task<void> {
      auto written = co_await stream.Write(AsBytes(text), token);
      EXPECT_FALSE(written);
    };
    scope.Spawn(write_until_stopped(*stalled.client, big, stop.token()));
    scope.Spawn(WriteAndEnd(*moving.client, big));
    EXPECT_TRUE(co_await ReadAll(*moving.server) == big);
    EXPECT_EQ(scope.live(), 1u);
    // One window in our buffers, and blocks of the pool are at most one bulk block larger.
    EXPECT_LE(loop.buffers().stats().in_use_bytes, 64u * 1024 + 2 * io::BufferPool::kBulk);
    stop.RequestStop();
    co_await scope.Join();
  }
  co_await pair.End();
}

CO_TEST(H2Connection, WhatCameWithOneReadIsReadInOneBlock) {
  ConnectionPair pair(loop);
  {
    StreamEnds ends = co_await OpenStream(pair);
    const std::string big = Pattern(1'000'000);  // The connection's reads have grown after it.
    Scope scope(loop);
    const auto write = [](H2Stream& stream, const std::string& text) -> Task<void> {
      EXPECT_TRUE(co_await stream.Write(AsBytes(text), {}));
    };
    scope.Spawn(write(*ends.client, big));
    size_t got = 0;
    while (got < big.size()) got += (co_await ends.server->Read(1, {}))->size();
    const std::string frames = Pattern(50'000);  // Four of them.
    EXPECT_TRUE(co_await ends.client->Write(AsBytes(frames), {}));
    const auto block = co_await ends.server->Read(1, {});
    CO_ASSERT_TRUE(block);
    EXPECT_EQ(block->size(), frames.size());
    co_await scope.Join();
  }
  co_await pair.End();
}

Task<void> ReadOnce(H2Stream& stream, std::string& text) { text = Text(*co_await stream.Read(100, {})); }

// What arrives with one read.
Task<void> Send(io::Loop& loop, io::Stream& peer, std::string bytes) {
  EXPECT_TRUE(co_await peer.Write(AsBytes(bytes), {}));
  co_await loop.Sleep(absl::Milliseconds(5), {});
}

// With others in the same read that have something to do; alone a stream gets what is there.
CO_TEST(H2Connection, TheBeginningOfAFrameWaitsForItsRestUnlessItsStreamIsAlone) {
  io::Pipe pipe = io::MakePipe(loop);
  H2ServerConnection server(loop, std::move(pipe.second), PatientOptions());
  StopSource stop;
  Scope scope(loop);
  scope.Spawn(server.Run(stop.token()));
  io::Stream& peer = *pipe.first;
  const std::string opening = std::string(kClientPreface) + RawFrame(FrameType::kSettings, 0, 0);
  co_await Send(loop, peer, opening + RawHeaders(1, kConnect, false) + RawHeaders(3, kConnect, false));
  {
    const auto one = co_await server.Accept({}), other = co_await server.Accept({});
    CO_ASSERT_TRUE(one && other && one->Respond(kOk, false) && other->Respond(kOk, false));
    const std::string whole = RawFrame(FrameType::kData, 0, 3, "whole");
    const std::string frame = RawFrame(FrameType::kData, 0, 1, "12345678");
    std::string got, from_other;
    Scope readers(loop);
    readers.Spawn(ReadOnce(*one, got));
    readers.Spawn(ReadOnce(*other, from_other));
    co_await Send(loop, peer, whole + frame.substr(0, 12));
    EXPECT_EQ(from_other, "whole");
    EXPECT_EQ(got, "");
    co_await Send(loop, peer, frame.substr(12));
    EXPECT_EQ(got, "12345678");
    readers.Spawn(ReadOnce(*one, got));
    co_await Send(loop, peer, frame.substr(0, 12));
    EXPECT_EQ(got, "123");
    co_await Send(loop, peer, frame.substr(12));
    EXPECT_EQ(Text(*co_await one->Read(100, {})), "45678");
    // Padding is nothing to wait for: no data may be left to come.
    const std::string padded =
        RawFrame(FrameType::kData, kPaddedFlag, 1, std::string("\x04") + "data" + std::string(4, '\0'));
    readers.Spawn(ReadOnce(*one, got));
    co_await Send(loop, peer, whole + padded.substr(0, padded.size() - 4));
    EXPECT_EQ(got, "data");
    co_await Send(loop, peer, padded.substr(padded.size() - 4));
    // Nobody waits for ever: what has come is read by who asks for it, and before the connection's end.
    co_await Send(loop, peer, whole + frame.substr(0, 12));
    EXPECT_EQ(Text(*co_await one->Read(100, {})), "123");
    co_await readers.Join();
  }
  stop.RequestStop();
  co_await scope.Join();
}

CO_TEST(H2Connection, StoppedWriteLetsItsBytesGo) {
  ConnectionPair pair(loop);
  {
    StreamEnds ends = co_await OpenStream(pair);
    {
      const std::string big = Pattern(1'000'000);
      Deadline soon(loop, {}, absl::Milliseconds(5));
      auto written = co_await ends.client->Write(AsBytes(big), soon.token());
      CO_ASSERT_TRUE(!written);
      EXPECT_TRUE(written.error().is(io::IoCode::kDeadline));
    }
    ends.client->Reset();
    EXPECT_EQ(co_await ReadAll(*ends.server), "[read: HTTP/2 error 10]");
  }
  co_await pair.End();
}

Task<void> Echo(std::unique_ptr<H2Stream> stream) {
  CHECK(stream->Respond(kOk, false));
  while (true) {
    auto read = co_await stream->Read(64 * 1024, {});
    CHECK(read);
    if (read->empty()) break;
    CHECK(co_await stream->Write(read->bytes(), {}));
  }
  CHECK(co_await stream->ShutdownWrite({}));
}

Task<void> AcceptAndEcho(H2ServerConnection& server, Scope& scope) {
  while (auto stream = co_await server.Accept({})) scope.Spawn(Echo(std::move(stream)));
}

Task<void> AskEcho(H2ClientConnection& client, size_t size) {
  auto opened = client.Open(kConnect);
  CHECK(opened);
  CHECK(co_await (*opened)->Response({}));
  const std::string text = Pattern(size);
  Scope scope(client.loop());
  scope.Spawn(WriteAndEnd(**opened, text));
  EXPECT_TRUE(co_await ReadAll(**opened) == text);
  co_await scope.Join();
}

CO_TEST(H2Connection, HundredStreamsAtOnce) {
  ConnectionPair pair(loop, {.read_max = 9000});
  Scope scope(loop);
  Scope clients(loop);
  scope.Spawn(AcceptAndEcho(pair.server, scope));
  for (size_t i = 0; i < 100; ++i) clients.Spawn(AskEcho(pair.client, 1000 * i));
  EXPECT_FALSE(pair.client.CanOpen());
  const auto over = pair.client.Open(kConnect);
  CO_ASSERT_TRUE(!over);
  EXPECT_TRUE(over.error().is(io::IoCode::kLimit));
  co_await clients.Join();
  EXPECT_TRUE(pair.client.CanOpen());
  co_await pair.End();
  co_await scope.Join();
}

CO_TEST(H2Connection, DrainServesWhatIsUnderWayAndRefusesTheRest) {
  ConnectionPair pair(loop);
  StreamEnds ends = co_await OpenStream(pair);
  Scope scope(loop);
  scope.Spawn(pair.server.Drain({}));
  while (pair.client.usable()) co_await loop.Yield();
  EXPECT_FALSE(pair.client.Open(kConnect));
  co_await WriteAndEnd(*ends.client, "still here");
  EXPECT_EQ(co_await ReadAll(*ends.server), "still here");
  co_await WriteAndEnd(*ends.server, "indeed");
  EXPECT_EQ(co_await ReadAll(*ends.client), "indeed");
  ends = {};
  co_await scope.Join();
  co_await pair.scope.Join();
  EXPECT_FALSE(pair.client.failure());
  EXPECT_FALSE(pair.server.failure());
}

CO_TEST(H2Connection, DrainEndsStreamsAtItsDeadline) {
  ConnectionPair pair(loop);
  StreamEnds ends = co_await OpenStream(pair);
  {
    Deadline deadline(loop, {}, absl::Milliseconds(10));
    co_await pair.server.Drain(deadline.token());
  }
  EXPECT_EQ((co_await ReadAll(*ends.client)).front(), '[');
  EXPECT_EQ((co_await ReadAll(*ends.server)).front(), '[');
  ends = {};
  co_await pair.scope.Join();
}

CO_TEST(H2Connection, StopEndsItAtOnce) {
  ConnectionPair pair(loop);
  StreamEnds ends = co_await OpenStream(pair);
  pair.server_stop.RequestStop();
  EXPECT_EQ((co_await ReadAll(*ends.client)).front(), '[');
  EXPECT_EQ((co_await ReadAll(*ends.server)).front(), '[');
  ends = {};
  co_await pair.scope.Join();
}

CO_TEST(H2Connection, PeerThatBreaksTheProtocolLearnsWhy) {
  io::Pipe pipe = io::MakePipe(loop);
  H2ServerConnection server(loop, std::move(pipe.second), PatientOptions());
  Scope scope(loop);
  scope.Spawn(server.Run({}));
  EXPECT_TRUE(co_await pipe.first->Write(AsBytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), {}));
  const std::string said = co_await ReadAll(*pipe.first);
  const std::vector<ParsedFrame> frames = ParseFrames(said);
  CO_ASSERT_TRUE(!frames.empty());
  EXPECT_EQ(frames.back().type, FrameType::kGoaway);
  EXPECT_TRUE(co_await pipe.first->ShutdownWrite({}));
  co_await scope.Join();
  EXPECT_TRUE(Is(*server.failure(), ErrorCode::kProtocolError));
}

CO_TEST(H2Connection, ReadyTellsThePeersLimit) {
  H2ConnectionOptions server_options = PatientOptions();
  server_options.session.max_concurrent_streams = 7;
  ConnectionPair pair(loop, io::PipeOptions{}, PatientOptions(), server_options);
  EXPECT_TRUE(co_await pair.client.Ready({}));
  EXPECT_EQ(pair.client.peer_max_streams(), 7u);
  co_await pair.End();
}

CO_TEST(H2Connection, RequestReturnsTheAnsweredStream) {
  ConnectionPair pair(loop);
  Scope scope(loop);
  scope.Spawn(AcceptAndEcho(pair.server, scope));
  {
    auto stream = co_await pair.client.Request(kConnect, false, {});
    CO_ASSERT_TRUE(stream);
    EXPECT_EQ((*stream)->headers().status(), 200);
    co_await WriteAndEnd(**stream, "hello");
    EXPECT_EQ(co_await ReadAll(**stream), "hello");
  }
  co_await pair.End();
  co_await scope.Join();
}

// Time moves by hand: turns of the loop that never wait.
struct TimedTest : testing::Test {
  void Turn(absl::Duration time = absl::ZeroDuration()) {
    clock.Advance(time);
    for (int i = 0; i < 50; ++i) loop.Turn(loop.Now());
  }
  FakeClock clock;
  io::Loop loop{clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll}};
};

TEST_F(TimedTest, PingsKeepAnIdleConnectionAlive) {
  ConnectionPair pair(loop);
  for (int i = 0; i < 10; ++i) Turn(absl::Seconds(10));
  EXPECT_TRUE(pair.client.usable());
  EXPECT_TRUE(pair.server.usable());
  EXPECT_GE(pair.client.idle_time(), absl::Seconds(100));
  EXPECT_EQ(loop.buffers().stats().in_use_bytes, 0u);
  Scope scope(loop);
  scope.Spawn(pair.End());
  Turn();
  EXPECT_EQ(scope.live(), 0u);
}

TEST_F(TimedTest, SilentPeerIsGivenUpAfterThePingTimeout) {
  io::Pipe pipe = io::MakePipe(loop);
  H2ClientConnection client(loop, std::move(pipe.first), {});
  Scope scope(loop);
  scope.Spawn(client.Run({}));
  auto stream = *client.Open(kConnect);
  Turn(absl::Seconds(10));
  Turn(absl::Seconds(19));
  EXPECT_FALSE(client.failure());
  Turn(absl::Seconds(1));
  ASSERT_TRUE(client.failure());
  EXPECT_TRUE(client.failure()->is_errno(ETIMEDOUT));
  EXPECT_TRUE(stream->aborted().requested());
  stream.reset();
  Turn();
  EXPECT_EQ(scope.live(), 0u);
}

TEST_F(TimedTest, PeerThatDoesNotReadItsGoawayIsCutOff) {
  io::Pipe pipe = io::MakePipe(loop, {.capacity = 10});
  H2ServerConnection server(loop, std::move(pipe.second), {});
  Scope scope(loop);
  scope.Spawn(server.Run({}));
  Turn();
  server.Close(ErrorCode::kEnhanceYourCalm, "test");
  Turn();
  EXPECT_EQ(scope.live(), 1u);
  Turn(absl::Seconds(1));
  EXPECT_EQ(scope.live(), 0u);
}

}  // namespace
}  // namespace heddle::http
