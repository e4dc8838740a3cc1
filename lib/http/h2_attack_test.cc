// What a hostile peer can do to a session, by class of attack: docs and names as in the advisories.
// The bytes are written by hand. A server session speaks to each attacker; the last tests are of
// hostile servers.

#include <absl/functional/function_ref.h>
#include <gtest/gtest.h>

#include "lib/http/testing/session_pair.h"

namespace heddle::http {
namespace {

using Type = H2Event::Type;

// A server session whose client is a test. Requests are released as soon as they have been reset or
// have ended.
struct Victim {
  explicit Victim(const H2Options& options = {}) : server(Role::kServer, options, clock) {
    server.Feed(std::string(kClientPreface) + RawFrame(FrameType::kSettings, 0, 0) +
                RawFrame(FrameType::kSettings, kAckFlag, 0));
    TakeOutput(server.session);
  }
  // Feeds bytes and returns the frames that the server answers with.
  std::vector<ParsedFrame> Feed(std::string_view bytes) {
    const size_t before = server.events.size();
    server.Feed(bytes);
    const std::string output = TakeOutput(server.session);
    server.Take();
    for (size_t i = before; i < server.events.size(); ++i) {
      if (server.events[i].type == Type::kRequest) ++requests;
      if (server.events[i].type == Type::kReset) server.session.Release(server.events[i].stream);
    }
    server.events.clear();
    return ParseFrames(output);
  }
  // Feeds what `attack` makes of 1, 3, 5... until the connection ends, at most `rounds` times.
  // Returns the rounds.
  size_t Repeat(size_t rounds, absl::FunctionRef<std::string(uint32_t)> attack) {
    for (size_t i = 0; i < rounds; ++i) {
      Feed(attack(static_cast<uint32_t>(2 * i + 1)));
      if (server.session.end()) return i + 1;
    }
    return rounds;
  }
  bool Violated(H2Limit limit) const {
    return server.session.stats().limit_violations[static_cast<size_t>(limit)] == 1 &&
           server.session.end() && server.session.end()->code == ErrorCode::kEnhanceYourCalm &&
           !server.session.end()->reason.empty();
  }
  const std::optional<H2End>& end() const { return server.session.end(); }

  FakeClock clock;
  Endpoint server;
  size_t requests = 0;
};

TEST(H2Attack, RapidResetEndsTheConnection) {
  Victim victim;
  const size_t rounds = victim.Repeat(
      10'000, [](uint32_t id) { return RawHeaders(id, kGet, true) + RawReset(id, 8); });
  EXPECT_EQ(rounds, 1001u);
  EXPECT_TRUE(victim.Violated(H2Limit::kResetsReceived));
  EXPECT_EQ(victim.server.session.active_streams(), 0u);
}

TEST(H2Attack, RapidResetOfWorkThatTakesLongIsRefusedBeforeItPilesUp) {
  FakeClock clock;
  Endpoint server(Role::kServer, {.max_concurrent_streams = 10}, clock);
  server.Feed(kClientPreface);
  server.Feed(RawFrame(FrameType::kSettings, 0, 0));
  for (uint32_t id = 1; id < 2000; id += 2) {
    server.Feed(RawHeaders(id, kGet, true) + RawReset(id, 8));
    TakeOutput(server.session);
    ASSERT_LE(server.session.active_streams(), 10u);
  }
  EXPECT_EQ(server.Count(Type::kRequest), 10u);
  EXPECT_EQ(server.session.end()->code, ErrorCode::kEnhanceYourCalm);
}

TEST(H2Attack, ResetsOfAnOrdinaryLifeAreNoAttack) {
  Victim victim;
  for (uint32_t id = 1; id < 20'000; id += 2) {
    victim.Feed(RawHeaders(id, kConnect, false) + RawReset(id, 8));
    victim.clock.Advance(absl::Milliseconds(20));
  }
  EXPECT_FALSE(victim.end());
}

// CVE-2025-8671: the peer makes us reset the streams, and no RST_STREAM of its own is ever counted.
TEST(H2Attack, MadeYouResetEndsTheConnectionWhateverThePrimitive) {
  const struct {
    std::string name;
    std::string (*frames)(uint32_t);
  } cases[] = {
      {"window update of zero",
       [](uint32_t id) { return RawHeaders(id, kGet, false) + RawWindowUpdate(id, 0); }},
      {"window overflow",
       [](uint32_t id) { return RawHeaders(id, kGet, false) + RawWindowUpdate(id, 0x7fffffff); }},
      {"data after the end",
       [](uint32_t id) {
         return RawHeaders(id, kGet, true) + RawFrame(FrameType::kData, 0, id, "x");
       }},
      {"headers after the end",
       [](uint32_t id) { return RawHeaders(id, kGet, true) + RawHeaders(id, kGet, true); }},
      {"priority of a wrong length",
       [](uint32_t id) {
         return RawHeaders(id, kGet, true) + RawFrame(FrameType::kPriority, 0, id, "xxx");
       }},
      {"priority on itself",
       [](uint32_t id) {
         return RawHeaders(id, kGet, true) +
                RawFrame(FrameType::kPriority, 0, id, RawUint32(id) + "x");
       }},
      {"more data than announced",
       [](uint32_t id) {
         Headers post = kPost;
         post.Add("content-length", "1");
         return RawHeaders(id, post, false) + RawFrame(FrameType::kData, 0, id, "xx");
       }},
      {"malformed trailers",
       [](uint32_t id) {
         return RawHeaders(id, kPost, false) + RawHeaders(id, {{":path", "/"}}, true);
       }},
      {"malformed request", [](uint32_t id) { return RawHeaders(id, {{":method", "GET"}}, true); }},
  };
  for (const auto& c : cases) {
    Victim victim;
    EXPECT_LE(victim.Repeat(10'000, c.frames), 101u) << c.name;
    EXPECT_TRUE(victim.end()) << c.name;
    EXPECT_LE(victim.server.session.active_streams(), 101u) << c.name;
  }
}

// nghttp2 sends some of its verdicts without a word.
TEST(H2Attack, GarbageInAHeaderBlockEndsTheConnectionWithAReason) {
  Victim victim;
  victim.Feed(RawFrame(FrameType::kHeaders, kEndHeadersFlag, 1, "\xff\xff\xff\xff\xff\xff\xff"));
  ASSERT_TRUE(victim.end());
  EXPECT_EQ(victim.end()->code, ErrorCode::kCompressionError);
  EXPECT_NE(victim.end()->reason.find("COMPRESSION_ERROR"), std::string::npos);
}

TEST(H2Attack, StreamsOverTheLimitEndTheConnection) {
  Victim victim({.max_concurrent_streams = 10});
  victim.Repeat(10'000, [](uint32_t id) { return RawHeaders(id, kConnect, false); });
  ASSERT_TRUE(victim.end());
  EXPECT_EQ(victim.requests, 10u);
}

TEST(H2Attack, ContinuationFloodEndsTheConnection) {
  const std::string field = RawHeaderBlock({{"x", "y"}});
  const std::string start = RawFrame(FrameType::kHeaders, 0, 1, RawHeaderBlock(kGet));
  for (const std::string& part :
       {std::string(), field.substr(0, 1), field, std::string(16 * 1024, '\x90')}) {
    Victim victim;
    victim.Feed(start);
    size_t frames = 0;
    while (!victim.end() && ++frames < 100'000)
      victim.Feed(RawFrame(FrameType::kContinuation, 0, 1, part));
    EXPECT_LE(frames, 8u) << part.size();
    EXPECT_EQ(victim.end()->code, ErrorCode::kEnhanceYourCalm);
  }
}

// A malformed block is skipped by the library without a word to its caller.
TEST(H2Attack, ContinuationFloodInASkippedBlockIsSeenToo) {
  Victim skipped;
  skipped.Feed(RawFrame(FrameType::kHeaders, 0, 1, RawHeaderBlock({{"Bad Name", "x"}})));
  size_t frames = 0;
  while (!skipped.end() && ++frames < 100'000)
    skipped.Feed(RawFrame(FrameType::kContinuation, 0, 1));
  EXPECT_LE(frames, 8u);
  EXPECT_TRUE(skipped.Violated(H2Limit::kHeaderBlock));
}

TEST(H2Attack, HpackBombEndsTheConnectionAtTheDecodedLimit) {
  // One entry of 4000 bytes goes into the dynamic table (index 62); each further byte unfolds to
  // it.
  std::string block =
      RawHeaderBlock(kGet) + '\x40' + RawHeaderBlock({{"bomb", std::string(3900, 'b')}}).substr(1);
  block += std::string(10'000, '\xbe');
  Victim victim;
  victim.Feed(RawFrame(FrameType::kHeaders, kEndHeadersFlag, 1, block));
  EXPECT_TRUE(victim.Violated(H2Limit::kHeaderListBytes));
  EXPECT_EQ(victim.requests, 0u);
}

TEST(H2Attack, ManySmallFieldsCountWithTheirOverhead) {
  Victim victim;
  // "accept-encoding: gzip, deflate" is index 16 of the static table: one byte each.
  victim.Feed(RawFrame(FrameType::kHeaders, kEndHeadersFlag, 1,
                       RawHeaderBlock(kGet) + std::string(2000, '\x90')));
  EXPECT_TRUE(victim.Violated(H2Limit::kHeaderListBytes));
}

TEST(H2Attack, CookieCrumbsCount) {
  Headers request = kGet;
  for (int i = 0; i < 3000; ++i) request.Add("cookie", "a");
  Victim victim;
  const std::string block = RawHeaderBlock(request);
  victim.Feed(RawFrame(FrameType::kHeaders, 0, 1, block.substr(0, 16'000)) +
              RawFrame(FrameType::kContinuation, kEndHeadersFlag, 1, block.substr(16'000)));
  ASSERT_TRUE(victim.end());
  EXPECT_EQ(victim.end()->code, ErrorCode::kEnhanceYourCalm);
}

TEST(H2Attack, FloodsOfFramesThatMoveNothingEndTheConnection) {
  const struct {
    std::string name;
    std::string frame;
  } cases[] = {
      {"SETTINGS", RawFrame(FrameType::kSettings, 0, 0)},
      {"SETTINGS that change every window",
       RawFrame(FrameType::kSettings, 0, 0, RawSetting(4, 70'000))},
      {"PING", RawFrame(FrameType::kPing, 0, 0, "12345678")},
      {"PING answers that nobody asked for", RawFrame(FrameType::kPing, kAckFlag, 0, "12345678")},
      {"PRIORITY", RawFrame(FrameType::kPriority, 0, 3, RawUint32(0) + "x")},
      {"empty DATA", RawFrame(FrameType::kData, 0, 1)},
      {"DATA of padding only",
       RawFrame(FrameType::kData, kPaddedFlag, 1, std::string(1, '\xff') + std::string(255, '\0'))},
      {"WINDOW_UPDATE", RawWindowUpdate(1, 1)},
      {"WINDOW_UPDATE of the connection", RawWindowUpdate(0, 1)},
      {"unknown type", RawFrame(static_cast<FrameType>(0xfa), 0, 0, "what")},
      {"empty trailers on a closed stream", RawHeaders(1, {}, false)},
  };
  for (const auto& c : cases) {
    Victim victim;
    victim.Feed(RawHeaders(1, kPost, false));
    size_t frames = 0;
    while (!victim.end() && ++frames < 100'000) victim.Feed(c.frame);
    EXPECT_LE(frames, 1001u) << c.name;
    ASSERT_TRUE(victim.end()) << c.name;
    // Those that are errors in themselves end with their own code.
    EXPECT_NE(victim.end()->code, ErrorCode::kNoError) << c.name;
  }
}

TEST(H2Attack, PeersThatPingEveryTenSecondsForeverAreFine) {
  Victim victim;
  for (int i = 0; i < 20'000; ++i) {
    victim.Feed(RawFrame(FrameType::kPing, 0, 0, "12345678"));
    victim.clock.Advance(absl::Seconds(10));
  }
  EXPECT_FALSE(victim.end());
}

TEST(H2Attack, WindowUpdatesAndPingsForEveryFrameThatWeSendAreFine) {
  Victim victim;
  victim.Feed(RawHeaders(1, kPost, false));
  const StreamId id{1};
  ASSERT_TRUE(victim.server.session.Respond(id, kOk, false));
  for (int i = 0; i < 20'000; ++i) {
    victim.server.session.Write(id, AsBytes("x"));
    ASSERT_FALSE(victim.Feed(RawFrame(FrameType::kPing, 0, 0, "12345678")).empty());
    victim.Feed(RawWindowUpdate(1, 1) + RawWindowUpdate(0, 1));
  }
  EXPECT_FALSE(victim.end());
}

TEST(H2Attack, WindowsOfOneByteDoNotFeedTheirOwnBudget) {
  Victim victim;
  victim.Feed(RawFrame(FrameType::kSettings, 0, 0, RawSetting(4, 0)) + RawHeaders(1, kPost, false));
  const std::string body(100'000, 'x');
  ASSERT_TRUE(victim.server.session.Respond(StreamId{1}, kOk, false));
  victim.server.session.Write(StreamId{1}, AsBytes(body));
  victim.Repeat(10'000, [](uint32_t) { return RawWindowUpdate(1, 1); });
  EXPECT_TRUE(victim.Violated(H2Limit::kControlFrames));
}

TEST(H2Attack, ZeroWindowHoldsNothingButTheWriteThatWaits) {
  Victim victim;
  victim.Feed(RawFrame(FrameType::kSettings, 0, 0, RawSetting(4, 0)) + RawHeaders(1, kGet, true));
  const std::string body(1'000'000, 'x');
  ASSERT_TRUE(victim.server.session.Respond(StreamId{1}, kOk, false));
  victim.server.session.Write(StreamId{1}, AsBytes(body));
  for (const ParsedFrame& frame : victim.Feed(RawFrame(FrameType::kPing, 0, 0, "12345678"))) {
    EXPECT_NE(frame.type, FrameType::kData);
  }
  EXPECT_EQ(victim.server.session.pending_write_bytes(), body.size());
  EXPECT_EQ(TakeOutput(victim.server.session), "");
  victim.Feed(RawReset(1, 8));
  EXPECT_EQ(victim.server.session.pending_write_bytes(), 0u);
  EXPECT_EQ(victim.server.session.active_streams(), 0u);
}

TEST(H2Attack, PeerThatDoesNotReadItsAnswersIsCutOff) {
  H2Options options;
  options.control_frames = {.burst = 1'000'000, .per_second = 0};
  FakeClock clock;
  Endpoint server(Role::kServer, options, clock);
  server.Feed(std::string(kClientPreface) + RawFrame(FrameType::kSettings, 0, 0));
  size_t pings = 0;
  while (!server.session.end() && ++pings < 100'000)
    server.Feed(RawFrame(FrameType::kPing, 0, 0, "12345678"));
  EXPECT_LE(pings, options.outbound_queue_frames_max + 10);
  EXPECT_EQ(server.session.end()->code, ErrorCode::kEnhanceYourCalm);
  // The GOAWAY does not wait behind what nobody reads.
  EXPECT_LE(TakeOutput(server.session).size(), 300u);
  EXPECT_TRUE(server.session.finished());
}

TEST(H2Attack, WindowOverflowOfTheConnectionIsAnError) {
  Victim victim;
  victim.Feed(RawWindowUpdate(0, 0x7fffffff));
  ASSERT_TRUE(victim.end());
  EXPECT_EQ(victim.end()->code, ErrorCode::kFlowControlError);
}

TEST(H2Attack, MoreThanTheWindowIsNotDelivered) {
  Victim victim;
  victim.server.consume = false;
  victim.Feed(RawHeaders(1, kPost, false));
  for (int i = 0; i < 100; ++i)
    victim.Feed(RawFrame(FrameType::kData, 0, 1, std::string(16 * 1024, 'x')));
  EXPECT_LE(victim.server.data[StreamId{1}].size(), 64u * 1024);
}

TEST(H2Attack, FramesLargerThanAnnouncedAreAnError) {
  Victim victim;
  victim.Feed(RawHeaders(1, kPost, false) +
              RawFrame(FrameType::kData, 0, 1, std::string(16 * 1024 + 1, 'x')));
  ASSERT_TRUE(victim.end());
  EXPECT_EQ(victim.end()->code, ErrorCode::kFrameSizeError);
}

TEST(H2Attack, DataAfterTheEndIsNotDelivered) {
  Victim victim;
  victim.Feed(RawHeaders(1, kPost, false) + RawFrame(FrameType::kData, kEndStreamFlag, 1, "all") +
              RawFrame(FrameType::kData, 0, 1, "more"));
  EXPECT_EQ(victim.server.data[StreamId{1}], "all");
  EXPECT_TRUE(victim.end());
}

TEST(H2Attack, MalformedRequestsAreResetAndNeverSeen) {
  const auto with = [](Headers headers, std::string name, std::string value) {
    headers.Add(std::move(name), std::move(value));
    return headers;
  };
  const struct {
    std::string name;
    Headers request;
  } cases[] = {
      {"CONNECT without :authority", {{":method", "CONNECT"}}},
      {"CONNECT with :path", {{":method", "CONNECT"}, {":authority", "a:1"}, {":path", "/"}}},
      {"CONNECT with :scheme",
       {{":method", "CONNECT"}, {":authority", "a:1"}, {":scheme", "http"}}},
      {"CONNECT with :protocol",
       {{":method", "CONNECT"},
        {":protocol", "x"},
        {":scheme", "http"},
        {":path", "/"},
        {":authority", "a:1"}}},
      {"CONNECT with another host", with(kConnect, "host", "b.example")},
      {"host beside another :authority", with(kGet, "host", "b.example")},
      {"two hosts", with(with(kGet, "host", "a.example"), "host", "a.example")},
      {"two :authority",
       {{":method", "GET"},
        {":scheme", "http"},
        {":path", "/"},
        {":authority", "a"},
        {":authority", "b"}}},
      {"two :method",
       {{":method", "GET"},
        {":method", "CONNECT"},
        {":scheme", "http"},
        {":path", "/"},
        {":authority", "a"}}},
      {"no :path", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}},
      {"empty :path",
       {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", ""}}},
      {"unknown pseudo-header",
       {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":secret", "x"}}},
      {"pseudo-header after a field",
       {{":method", "GET"}, {"x", "y"}, {":scheme", "http"}, {":path", "/"}}},
      {"response's pseudo-header", with(kGet, ":status", "200")},
      {"upper case", with(kGet, "Upper", "x")},
      {"connection", with(kGet, "connection", "close")},
      {"transfer-encoding", with(kGet, "transfer-encoding", "chunked")},
      {"te of another kind", with(kGet, "te", "gzip")},
      {"two content-lengths", with(with(kPost, "content-length", "1"), "content-length", "2")},
      {"line break in a value", with(kGet, "x", "a\r\nb: c")},
      {"NUL in a value", with(kGet, "x", std::string("a\0b", 3))},
      {"space in a name", with(kGet, "a b", "c")},
  };
  for (const auto& c : cases) {
    Victim victim;
    bool reset = false;
    for (const ParsedFrame& frame : victim.Feed(RawHeaders(1, c.request, false))) {
      reset = reset || (frame.type == FrameType::kRstStream && frame.payload == RawUint32(1));
    }
    EXPECT_TRUE(reset) << c.name;
    EXPECT_EQ(victim.requests, 0u) << c.name;
    EXPECT_EQ(victim.server.session.active_streams(), 0u) << c.name;
    // Others on the same connection are not harmed.
    victim.Feed(RawHeaders(3, kConnect, false));
    EXPECT_EQ(victim.requests, 1u) << c.name;
  }
}

TEST(H2Attack, OtherProtocolsEndAtOnce) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), std::string(100, '\0'),
        std::string("\x16\x03\x01\x02\x00\x01", 6) + std::string(50, 'x')}) {
    FakeClock clock;
    Endpoint server(Role::kServer, {}, clock);
    server.Feed(bytes);
    ASSERT_TRUE(server.session.end());
    EXPECT_EQ(server.session.end()->code, ErrorCode::kProtocolError);
    TakeOutput(server.session);
    EXPECT_TRUE(server.session.finished());
  }
}

// A client session whose server is a test; stream 1 has been opened.
struct VictimClient {
  VictimClient() : client(Role::kClient, {}, clock) {
    client.session.Open(kConnect, false);
    TakeOutput(client.session);
    client.Feed(RawFrame(FrameType::kSettings, 0, 0) + RawFrame(FrameType::kSettings, kAckFlag, 0));
    TakeOutput(client.session);
  }
  void Feed(std::string_view bytes) {
    client.Feed(bytes);
    TakeOutput(client.session);
    client.Take();
  }
  FakeClock clock;
  Endpoint client;
};

TEST(H2Attack, ServerCannotPush) {
  VictimClient victim;
  victim.Feed(
      RawFrame(FrameType::kPushPromise, kEndHeadersFlag, 1, RawUint32(2) + RawHeaderBlock(kGet)));
  ASSERT_TRUE(victim.client.session.end());
  EXPECT_EQ(victim.client.session.end()->code, ErrorCode::kProtocolError);
}

TEST(H2Attack, BytesBeforeTheResponseAreNotDelivered) {
  VictimClient victim;
  victim.Feed(RawFrame(FrameType::kData, 0, 1, "early"));
  EXPECT_TRUE(victim.client.data.empty());
  EXPECT_TRUE(victim.client.session.end());
}

TEST(H2Attack, ResponseWithoutAProperStatusIsReset) {
  VictimClient victim;
  victim.Feed(RawHeaders(1, {{":status", "099"}}, false) + RawFrame(FrameType::kData, 0, 1, "x"));
  EXPECT_EQ(victim.client.Count(Type::kResponse), 0u);
  EXPECT_TRUE(victim.client.data.empty());
  ASSERT_EQ(victim.client.Count(Type::kReset), 1u);
  EXPECT_EQ(victim.client.last->code, ErrorCode::kProtocolError);
}

TEST(H2Attack, EndlessInformationalResponsesEndTheConnection) {
  VictimClient victim;
  size_t frames = 0;
  while (!victim.client.session.end() && ++frames < 100'000)
    victim.Feed(RawHeaders(1, {{":status", "103"}}, false));
  EXPECT_LE(frames, 1001u);
  EXPECT_EQ(victim.client.Count(Type::kResponse), 0u);
}

TEST(H2Attack, ResponseBombEndsTheConnection) {
  VictimClient victim;
  victim.Feed(RawFrame(FrameType::kHeaders, kEndHeadersFlag, 1,
                       RawHeaderBlock(kOk) + std::string(3000, '\x90')));
  ASSERT_TRUE(victim.client.session.end());
  EXPECT_EQ(victim.client.session.end()->code, ErrorCode::kEnhanceYourCalm);
}

}  // namespace
}  // namespace heddle::http
