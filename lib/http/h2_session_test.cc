#include "lib/http/h2_session.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include "lib/http/testing/session_pair.h"

namespace heddle::http {
namespace {

using Type = H2Event::Type;

// A pair with one stream that both sides have opened with headers.
struct OpenPair : SessionPair {
  explicit OpenPair(const Headers& request = kPost, const H2Options& client = {},
                    const H2Options& server = {})
      : SessionPair(client, server), id(*this->client.session.Open(request, false)) {
    Pump();
    EXPECT_TRUE(this->server.session.Respond(id, kOk, false));
    Pump();
  }
  StreamId id;
};

TEST(H2Session, CarriesARequestAndItsResponse) {
  SessionPair pair;
  const StreamId id = *pair.client.session.Open(kGet, true);
  pair.Pump();
  ASSERT_EQ(pair.server.Count(Type::kRequest), 1u);
  EXPECT_EQ(pair.server.last->headers, kGet);
  EXPECT_EQ(pair.server.Count(Type::kEnd), 1u);
  pair.server.session.Respond(id, {{":status", "204"}}, true);
  pair.Pump();
  ASSERT_EQ(pair.client.Count(Type::kResponse), 1u);
  EXPECT_EQ(pair.client.last->headers.status(), 204);
  EXPECT_EQ(pair.client.Count(Type::kEnd), 1u);
  EXPECT_EQ(pair.client.Count(Type::kReset) + pair.server.Count(Type::kReset), 0u);
}

TEST(H2Session, ClassicConnectNeedsNoSchemeAndNoPath) {
  OpenPair pair(kConnect);
  ASSERT_EQ(pair.server.Count(Type::kRequest), 1u);
  EXPECT_TRUE(pair.server.last->headers.is_connect());
  EXPECT_EQ(pair.server.last->headers, kConnect);
  pair.client.session.Write(pair.id, AsBytes("up"));
  pair.server.session.Write(pair.id, AsBytes("down"));
  pair.Pump(1);
  EXPECT_EQ(pair.server.data[pair.id], "up");
  EXPECT_EQ(pair.client.data[pair.id], "down");
}

TEST(H2Session, HalfClosesInBothOrders) {
  for (const bool client_first : {true, false}) {
    OpenPair pair(kConnect);
    Endpoint& first = client_first ? pair.client : pair.server;
    Endpoint& second = client_first ? pair.server : pair.client;
    first.session.EndWrite(pair.id);
    pair.Pump();
    EXPECT_EQ(second.Count(Type::kEnd), 1u);
    EXPECT_EQ(first.Count(Type::kEnd), 0u);
    second.session.Write(pair.id, AsBytes("late"));
    pair.Pump();
    EXPECT_EQ(first.data[pair.id], "late");
    second.session.EndWrite(pair.id);
    pair.Pump();
    EXPECT_EQ(first.Count(Type::kEnd), 1u);
    EXPECT_EQ(first.Count(Type::kReset) + second.Count(Type::kReset), 0u);
  }
}

TEST(H2Session, CarriesTrailersAfterTheLastByte) {
  OpenPair pair;
  pair.server.session.Write(pair.id, AsBytes("body"));
  pair.Pump();
  pair.server.session.EndWrite(pair.id, {{"grpc-status", "0"}});
  pair.Pump();
  EXPECT_EQ(pair.client.data[pair.id], "body");
  ASSERT_EQ(pair.client.Count(Type::kTrailers), 1u);
  EXPECT_EQ(pair.client.last->headers.Get("grpc-status"), "0");
  EXPECT_EQ(pair.client.Count(Type::kEnd), 1u);
}

// What may follow a rest, each both before and after the session has told the library of it.
TEST(H2Session, AStreamAtRestSendsNothingAndGoesOnLater) {
  for (const bool told : {false, true}) {
    for (const bool by_client : {false, true}) {
      OpenPair pair(kConnect);
      Endpoint& from = by_client ? pair.client : pair.server;
      Endpoint& to = by_client ? pair.server : pair.client;
      const auto rest = [&] {
        from.session.Rest(pair.id);
        from.session.Rest(pair.id);
        if (told) {
          EXPECT_TRUE(TakeOutput(from.session).empty());
        }
        EXPECT_TRUE(!told || !from.session.wants_output());
      };
      rest();
      from.session.Write(pair.id, AsBytes("one"));
      pair.Pump();
      rest();
      from.session.Write(pair.id, AsBytes("two"));
      pair.Pump();
      EXPECT_EQ(to.data[pair.id], "onetwo");
      EXPECT_EQ(from.Count(Type::kWritten), 2u);
      rest();
      to.session.Write(pair.id, AsBytes("back"));
      pair.Pump();
      EXPECT_EQ(from.data[pair.id], "back");
      EXPECT_EQ(to.Count(Type::kEnd), 0u);
      rest();
      from.session.EndWrite(pair.id);
      pair.Pump();
      EXPECT_EQ(to.Count(Type::kEnd), 1u);
      EXPECT_EQ(to.Count(Type::kReset) + from.Count(Type::kReset), 0u);
    }
  }
}

TEST(H2Session, AStreamAtRestEndsWithTrailersOrAReset) {
  for (const bool told : {false, true}) {
    OpenPair trailed;
    trailed.server.session.Rest(trailed.id);
    if (told) TakeOutput(trailed.server.session);
    trailed.server.session.EndWrite(trailed.id, {{"grpc-status", "0"}});
    trailed.Pump();
    EXPECT_EQ(trailed.client.Count(Type::kTrailers), 1u);
    EXPECT_EQ(trailed.client.Count(Type::kEnd), 1u);
    for (const bool by_us : {false, true}) {
      OpenPair pair;
      pair.server.session.Rest(pair.id);
      if (told) TakeOutput(pair.server.session);
      (by_us ? pair.server : pair.client).session.Reset(pair.id, ErrorCode::kConnectError);
      pair.Pump();
      EXPECT_EQ((by_us ? pair.client : pair.server).Count(Type::kReset), 1u);
      pair.server.session.Rest(pair.id);  // It has ended: nothing.
      pair.server.session.Release(pair.id);
      pair.client.session.Release(pair.id);
      pair.Pump();
      EXPECT_EQ(pair.server.session.active_streams(), 0u);
    }
  }
}

TEST(H2Session, DropsInformationalResponses) {
  FakeClock clock;
  Endpoint client(Role::kClient, {}, clock);
  client.Feed(RawFrame(FrameType::kSettings, 0, 0));
  const StreamId id = *client.session.Open(kGet, true);
  TakeOutput(client.session);
  client.Feed(RawHeaders(1, {{":status", "103"}, {"link", "x"}}, false) + RawHeaders(1, kOk, true));
  ASSERT_EQ(client.Count(Type::kResponse), 1u);
  EXPECT_EQ(client.last->headers.status(), 200);
  EXPECT_EQ(client.last->stream, id);
}

TEST(H2Session, ResetArrivesWithItsCode) {
  OpenPair pair;
  pair.server.session.Reset(pair.id, ErrorCode::kConnectError);
  pair.Pump();
  ASSERT_EQ(pair.client.Count(Type::kReset), 1u);
  EXPECT_EQ(pair.client.last->code, ErrorCode::kConnectError);
  EXPECT_TRUE(pair.client.last->by_peer);
  EXPECT_EQ(pair.server.Count(Type::kReset), 0u);
  EXPECT_EQ(pair.server.session.stats().resets_provoked, 0u);
}

TEST(H2Session, ResetWithNoErrorBeforeTheEndIsAResetAndNoEnd) {
  OpenPair pair;
  pair.server.session.Reset(pair.id, ErrorCode::kNoError);
  pair.Pump();
  EXPECT_EQ(pair.client.Count(Type::kEnd), 0u);
  ASSERT_EQ(pair.client.Count(Type::kReset), 1u);
  EXPECT_EQ(pair.client.last->code, ErrorCode::kNoError);
}

TEST(H2Session, ServerThatHasAnsweredStopsTheRestOfTheRequestAfterItsAnswer) {
  OpenPair pair;
  pair.server.session.Write(pair.id, AsBytes("answer"));
  pair.Pump();
  pair.server.session.EndWrite(pair.id);
  pair.server.session.Release(pair.id);
  pair.Pump();
  EXPECT_EQ(pair.client.data[pair.id], "answer");
  EXPECT_EQ(pair.client.Count(Type::kEnd), 1u);
  ASSERT_EQ(pair.client.Count(Type::kReset), 1u);
  EXPECT_EQ(pair.client.last->code, ErrorCode::kNoError);
  EXPECT_EQ(pair.server.session.active_streams(), 0u);
}

TEST(H2Session, OutputFillsTheSpaceWithFramesOfAtMost16KiB) {
  OpenPair pair;
  const std::string body(60'000, 'x');
  pair.client.session.Write(pair.id, AsBytes(body));
  std::vector<uint8_t> space(64 * 1024);
  const size_t size = pair.client.session.Output(space);
  EXPECT_GT(size, body.size());
  for (const ParsedFrame& frame :
       ParseFrames({reinterpret_cast<const char*>(space.data()), size})) {
    EXPECT_LE(frame.payload.size(), 16u * 1024);
  }
}

TEST(H2Session, OutputIsTheSameInSmallSpaces) {
  OpenPair pair;
  std::string body;
  for (int i = 0; i < 60'000; ++i) body.push_back(static_cast<char>(i * 7));
  pair.client.session.Write(pair.id, AsBytes(body));
  std::vector<uint8_t> space(H2Session::kOutputMin);
  while (const size_t size = pair.client.session.Output(space)) {
    pair.server.Feed({reinterpret_cast<const char*>(space.data()), size});
  }
  EXPECT_EQ(pair.server.data[pair.id], body);
}

TEST(H2Session, TellsHowMuchOfADataFrameIsToCome) {
  OpenPair pair(kConnect);
  EXPECT_EQ(pair.server.session.missing_data_bytes(), 0u);
  const std::string frame = RawFrame(FrameType::kData, 0, 1, "12345678");
  pair.server.Feed(frame.substr(0, 8));
  EXPECT_EQ(pair.server.session.missing_data_bytes(), 0u);
  pair.server.Feed(frame.substr(8, 4));
  EXPECT_EQ(pair.server.session.missing_data_bytes(), 5u);
  pair.server.Feed(frame.substr(12) + RawFrame(FrameType::kPing, 0, 0, "8 bytes.").substr(0, 12));
  EXPECT_EQ(pair.server.session.missing_data_bytes(), 0u);
  EXPECT_EQ(pair.server.data[pair.id], "12345678");
  pair.server.Feed(RawFrame(FrameType::kData, kPaddedFlag, 1, "\x02" "data..").substr(0, 12));
  EXPECT_EQ(pair.server.session.missing_data_bytes(), 0u);
}

TEST(H2Session, StreamWindowComesBackOnlyWhenConsumed) {
  OpenPair pair(kConnect);
  pair.server.consume = false;
  const std::string body(100'000, 'x');
  pair.client.session.Write(pair.id, AsBytes(body));
  pair.Pump();
  EXPECT_EQ(pair.server.data[pair.id].size(), 64u * 1024);
  EXPECT_EQ(pair.client.Count(Type::kWritten), 0u);
  pair.clock.Advance(absl::Seconds(30));  // A stalled reader's window does not grow.
  pair.server.session.Consumed(pair.id, 64 * 1024);
  pair.Pump();
  EXPECT_EQ(pair.server.data[pair.id].size(), body.size());
  EXPECT_EQ(pair.client.Count(Type::kWritten), 1u);
  EXPECT_EQ(pair.server.session.stream_window(pair.id), 64u * 1024);
}

TEST(H2Session, OneStalledReaderDoesNotStopOtherStreams) {
  H2Options small;
  small.connection_window = 128 * 1024;
  SessionPair pair({}, small);
  pair.server.consume = false;
  const std::string body(64 * 1024, 'x');
  std::vector<StreamId> ids;
  for (int i = 0; i < 8; ++i) {
    ids.push_back(*pair.client.session.Open(kPost, false));
    pair.client.session.Write(ids.back(), AsBytes(body));
    pair.Pump();
  }
  for (const StreamId id : ids) EXPECT_EQ(pair.server.data[id].size(), body.size());
}

// A pair whose server has a budget, and what its clients write.
struct BudgetPair {
  explicit BudgetPair(size_t budget_bytes, const H2Options& server_options = {})
      : budget(budget_bytes),
        client(Role::kClient, {}, clock),
        server(Role::kServer, server_options, clock, &budget) {
    Pump();
  }
  void Pump() {
    for (int i = 0; i < 300; ++i) {
      server.Feed(TakeOutput(client.session));
      client.Feed(TakeOutput(server.session));
    }
  }
  // A stream that has received `bytes`, all of which were consumed when `server.consume`.
  StreamId Send(const std::string& bytes) {
    const StreamId id = *client.session.Open(kPost, false);
    client.session.Write(id, AsBytes(bytes));
    Pump();
    return id;
  }
  FakeClock clock;
  ReceiveBudget budget;
  Endpoint client;
  Endpoint server;
};

TEST(H2Session, WindowGrowsWithAFastReaderUpToItsMaximum) {
  BudgetPair pair(64 * 1024 * 1024);
  const std::string body(16 * 1024 * 1024, 'x');
  EXPECT_EQ(pair.server.session.stream_window(pair.Send(body)), 4u * 1024 * 1024);
}

TEST(H2Session, StreamsThatAreIdleTakeNothingOfTheBudget) {
  BudgetPair pair(1024 * 1024);
  const std::string body(1024 * 1024, 'x');
  for (int i = 0; i < 50; ++i) {
    const StreamId id = pair.Send(body);
    ASSERT_EQ(pair.server.data[id].size(), body.size());
    EXPECT_GE(pair.server.session.stream_window(id), 512u * 1024);
  }
  EXPECT_EQ(pair.budget.used(), 0u);
  EXPECT_EQ(pair.server.session.stats().streams_refused, 0u);
}

TEST(H2Session, PeersThatUseAllTheirWindowsAtOnceGetNoMoreThanTheBudget) {
  BudgetPair pair(1024 * 1024);
  const std::string body(1024 * 1024, 'x');
  std::vector<StreamId> grown;
  for (int i = 0; i < 8; ++i) grown.push_back(pair.Send(body));
  pair.server.consume = false;
  for (const StreamId id : grown) pair.client.session.Write(id, AsBytes(body));
  pair.Pump();
  EXPECT_LE(pair.budget.used(), 768u * 1024);
  EXPECT_GT(pair.client.Count(Type::kReset), 0u);
  EXPECT_EQ(pair.client.last->code, ErrorCode::kEnhanceYourCalm);
  EXPECT_EQ(pair.server.Count(Type::kReset), pair.client.Count(Type::kReset));
  EXPECT_EQ(pair.server.session.stats().resets_provoked, 0u);  // The peer has broken no rule.
  // Who holds little goes on.
  const std::string little(60'000, 'y');
  EXPECT_EQ(pair.server.data[pair.Send(little)], little);
  for (const StreamId id : grown) pair.server.session.Release(id);
  EXPECT_EQ(pair.budget.used(), little.size());
}

TEST(H2Session, WindowsGrowNoMoreWhenHalfOfTheBudgetIsTaken) {
  BudgetPair pair(1024 * 1024);
  ASSERT_TRUE(pair.budget.TryTake(600 * 1024));
  EXPECT_EQ(pair.server.session.stream_window(pair.Send(std::string(1024 * 1024, 'x'))), 64u * 1024);
  pair.budget.Return(600 * 1024);
}

TEST(H2Session, StreamsAreRefusedWhileTheBudgetIsExhausted) {
  BudgetPair pair(64 * 1024);
  ASSERT_TRUE(pair.budget.TryTake(64 * 1024));
  pair.Send("x");
  EXPECT_EQ(pair.server.Count(Type::kRequest), 0u);
  ASSERT_EQ(pair.client.Count(Type::kReset), 1u);
  EXPECT_EQ(pair.client.last->code, ErrorCode::kRefusedStream);
  pair.budget.Return(64 * 1024);
}

TEST(H2Session, ManyStalledReadersStopTheirConnectionUntilTheyReadOn) {
  H2Options options;
  options.connection_window = 128 * 1024;
  options.connection_held_max = 256 * 1024;
  BudgetPair pair(64 * 1024 * 1024, options);
  pair.server.consume = false;
  const std::string body(64 * 1024, 'x');
  std::vector<StreamId> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(pair.Send(body));
  EXPECT_GT(pair.budget.used(), options.connection_held_max);
  EXPECT_LE(pair.budget.used(), options.connection_held_max + options.connection_window);
  for (size_t i = 0; i < 4; ++i) pair.server.session.Consumed(ids[i], body.size());
  pair.Pump();
  pair.server.session.Release(ids[4]);  // Readers that give up count, too.
  pair.server.consume = true;
  for (size_t i = 5; i < ids.size(); ++i)
    pair.server.session.Consumed(ids[i], pair.server.data[ids[i]].size());
  pair.Pump();
  for (const StreamId id : ids) EXPECT_EQ(pair.server.data[id].size(), body.size());
  EXPECT_EQ(pair.client.Count(Type::kReset), 1u);
}

TEST(H2Session, WhatDiffersInEachRequestIsNotKeptForTheNext) {
  SessionPair pair;
  const auto bytes_of_request = [&pair](const Headers& request) {
    pair.client.session.Open(request, true);
    const std::string bytes = TakeOutput(pair.client.session);
    pair.server.Feed(bytes);
    return bytes.size();
  };
  Headers request = kGet;
  request.Add("baggage", "service.name=a-name-of-some-length");
  request.Add("forwarded", "for=\"10.0.0.1:40000\"");
  request.Add("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00");
  const size_t first = bytes_of_request(request);
  const size_t second = bytes_of_request(request);
  EXPECT_LT(second + 20, first);  // The baggage is known.
  Headers other = kGet;
  for (const Header& header : request) {
    if (header.name == "forwarded" || header.name == "traceparent") other.Add(header.name, header.value);
  }
  EXPECT_GT(bytes_of_request(other) + 5, second);  // These are not.
}

TEST(H2Session, CountsItsStreamsAgainstThePeersLimit) {
  SessionPair pair({}, {.max_concurrent_streams = 2});
  EXPECT_EQ(pair.client.session.peer_max_streams(), 2u);
  const StreamId first = *pair.client.session.Open(kGet, true);
  EXPECT_TRUE(pair.client.session.Open(kGet, true));
  EXPECT_FALSE(pair.client.session.CanOpen());
  EXPECT_FALSE(pair.client.session.Open(kGet, true));
  pair.Pump();
  pair.server.session.Respond(first, kOk, true);
  pair.server.session.Release(first);
  pair.Pump();
  EXPECT_TRUE(pair.client.session.CanOpen());
}

TEST(H2Session, StreamCountsUntilItsOwnerHasReleasedIt) {
  SessionPair pair({}, {.max_concurrent_streams = 1});
  const StreamId first = *pair.client.session.Open(kPost, false);
  pair.Pump();
  pair.client.session.Reset(first, ErrorCode::kCancel);
  pair.Pump();
  ASSERT_TRUE(pair.client.session.Open(kGet, true));
  pair.Pump();
  ASSERT_EQ(pair.client.Count(Type::kReset), 1u);
  EXPECT_EQ(pair.client.last->code, ErrorCode::kRefusedStream);
  pair.server.session.Release(first);
  ASSERT_TRUE(pair.client.session.Open(kGet, true));
  pair.Pump();
  EXPECT_EQ(pair.server.Count(Type::kRequest), 2u);
}

TEST(H2Session, DrainsInTwoPhases) {
  SessionPair pair;
  const StreamId before = *pair.client.session.Open(kGet, true);
  pair.Pump();
  pair.server.session.StartDrain();
  // Opened before the notice has arrived: it is on the wire, and must be served.
  const StreamId crossing = *pair.client.session.Open(kGet, true);
  const std::string up = TakeOutput(pair.client.session);
  pair.client.Feed(TakeOutput(pair.server.session));
  EXPECT_FALSE(pair.client.session.CanOpen());
  pair.server.Feed(up);
  EXPECT_EQ(pair.server.Count(Type::kRequest), 2u);
  pair.Pump();
  EXPECT_EQ(pair.client.Count(Type::kGoaway), 2u);
  EXPECT_FALSE(pair.server.session.finished());
  for (const StreamId id : {before, crossing}) pair.server.session.Respond(id, kOk, true);
  pair.Pump();
  EXPECT_EQ(pair.client.Count(Type::kResponse), 2u);
  EXPECT_EQ(pair.client.Count(Type::kReset), 0u);
  EXPECT_TRUE(pair.server.session.finished());
  EXPECT_TRUE(pair.client.session.finished());
  EXPECT_FALSE(pair.server.session.end());
}

TEST(H2Session, GoawayMarksUnservedStreamsAsRefused) {
  FakeClock clock;
  Endpoint client(Role::kClient, {}, clock);
  const StreamId first = *client.session.Open(kGet, true);
  client.session.Open(kGet, true);
  TakeOutput(client.session);
  const StreamId unsent = *client.session.Open(kGet, true);
  client.Feed(RawFrame(FrameType::kSettings, 0, 0) +
              RawFrame(FrameType::kGoaway, 0, 0, RawUint32(1) + RawUint32(0)));
  TakeOutput(client.session);
  client.Take();
  ASSERT_EQ(client.Count(Type::kReset), 2u);
  for (const H2Event& event : client.events) {
    if (event.type == Type::kReset)
      EXPECT_EQ(event.code, ErrorCode::kRefusedStream) << static_cast<int>(event.stream);
  }
  EXPECT_EQ(client.last->stream, unsent);
  EXPECT_NE(client.last->stream, first);
  EXPECT_FALSE(client.session.Open(kGet, true));
}

TEST(H2Session, PingIsAnswered) {
  SessionPair pair;
  pair.client.session.Ping();
  pair.server.session.Ping();
  pair.Pump();
  EXPECT_EQ(pair.client.Count(Type::kPingAck), 1u);
  EXPECT_EQ(pair.server.Count(Type::kPingAck), 1u);
}

TEST(H2Session, CancelledWriteWhoseFrameWasPreparedDoesNoHarm) {
  OpenPair pair(kConnect);
  auto body = std::make_unique<std::string>(40'000, 'x');
  pair.client.session.Write(pair.id, AsBytes(*body));
  std::vector<uint8_t> space(H2Session::kOutputMin + 100);
  pair.client.session.Output(space);  // The second frame is prepared and does not fit.
  pair.client.session.CancelWrite(pair.id);
  body.reset();
  pair.client.session.Reset(pair.id, ErrorCode::kCancel);
  pair.Pump();
  ASSERT_EQ(pair.server.Count(Type::kReset), 1u);
  EXPECT_EQ(pair.server.last->code, ErrorCode::kCancel);
  EXPECT_FALSE(pair.server.session.end());
}

TEST(H2Session, AcceptsFramesUpToWhatItAnnounced) {
  FakeClock clock;
  H2Options options;
  options.receive_frame_bytes_max = 1024 * 1024;
  options.stream_window_initial = 1024 * 1024;
  Endpoint server(Role::kServer, options, clock);
  server.Feed(std::string(kClientPreface) + RawFrame(FrameType::kSettings, 0, 0));
  TakeOutput(server.session);
  server.Feed(RawFrame(FrameType::kSettings, kAckFlag, 0) + RawHeaders(1, kPost, false) +
              RawFrame(FrameType::kData, 0, 1, std::string(1024 * 1024, 'x')));
  EXPECT_EQ(server.data[StreamId{1}].size(), 1024u * 1024);
  EXPECT_FALSE(server.session.end());
}

TEST(H2Session, ClosesWithItsReason) {
  SessionPair pair;
  pair.server.session.Close(ErrorCode::kNoError, "identity revoked");
  pair.Pump();
  EXPECT_TRUE(pair.server.session.finished());
  EXPECT_EQ(pair.client.Count(Type::kGoaway), 1u);
  EXPECT_EQ(pair.server.session.end()->reason, "identity revoked");
}

TEST(H2Session, HundredThousandStreamsInSequenceLeaveNothingBehind) {
  SessionPair pair;
  size_t allocated = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (i == 10'000) allocated = ::mallinfo2().uordblks;
    const StreamId id = *pair.client.session.Open(kConnect, false);
    pair.Pump();
    pair.server.session.Respond(id, kOk, false);
    // A third ends in order, a third by the client's reset, a third by the server's.
    if (i % 3 == 0) {
      pair.server.session.EndWrite(id);
      pair.client.session.EndWrite(id);
    } else {
      (i % 3 == 1 ? pair.client : pair.server).session.Reset(id, ErrorCode::kCancel);
    }
    pair.Pump();
    pair.server.session.Release(id);
    pair.client.session.Release(id);
    pair.Pump();
    pair.clock.Advance(absl::Milliseconds(10));
    for (Endpoint* end : {&pair.client, &pair.server}) {
      end->events.clear();
      end->data.clear();
    }
    ASSERT_FALSE(pair.server.session.end()) << pair.server.session.end()->reason;
  }
  EXPECT_LE(::mallinfo2().uordblks, allocated + 64 * 1024);
  EXPECT_EQ(pair.server.session.active_streams(), 0u);
  EXPECT_EQ(pair.client.session.active_streams(), 0u);
  EXPECT_EQ(pair.server.session.stats().streams_total, 100'000u);
}

}  // namespace
}  // namespace heddle::http
