// Channel and server together, over pipes in memory.

#include <absl/strings/match.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "lib/base/status.h"
#include "lib/grpc/channel.h"
#include "lib/grpc/server.h"
#include "lib/http/testing/connection_pair.h"
#include "lib/io/testing/co_test.h"

namespace heddle::grpc {
namespace {

// What the handlers of the test server saw.
struct Seen {
  std::string authorization;
  std::string peer;
  bool stopped = false;
  absl::Status last_error;
};

Task<absl::StatusOr<std::string>> Upper(Seen& seen, ServerCall& call, std::string request) {
  seen.authorization = call.metadata().Get("authorization");
  seen.peer = call.peer().identity;
  for (char& c : request) c = static_cast<char>(std::toupper(c));
  co_return request;
}

Task<absl::StatusOr<std::string>> Fail(ServerCall&, std::string request) {
  co_return absl::PermissionDeniedError("no \xe2\x82\xac for " + request);
}

Task<absl::StatusOr<std::string>> Hang(io::Loop& loop, Seen& seen, ServerCall& call, std::string) {
  seen.stopped = !co_await loop.Sleep(absl::Seconds(60), call.stop());
  co_return absl::AbortedError("hung");
}

Task<absl::Status> Echo(Seen& seen, ServerCall& call) {
  while (true) {
    absl::StatusOr<std::optional<std::string>> message = co_await call.Receive();
    if (!message.ok()) {
      seen.last_error = message.status();
      seen.stopped = call.stop().requested();
      co_return message.status();
    }
    if (!message->has_value()) co_return absl::OkStatus();
    CO_TRY_STATUS(co_await call.Send(**message));
  }
}

// A message in pieces of a thousand bytes.
class Thousands final : public MessagePieces {
 public:
  explicit Thousands(std::string_view text) : size_(text.size()), left_(text) {}
  size_t size() const override { return size_; }
  void AppendNext(std::string& out) override {
    out += left_.substr(0, 1000);
    left_.remove_prefix(std::min<size_t>(left_.size(), 1000));
  }

 private:
  const size_t size_;
  std::string_view left_;
};

Task<absl::Status> EchoInPieces(ServerCall& call) {
  while (true) {
    CO_TRY_ASSIGN(const std::optional<std::string> message, co_await call.Receive());
    if (!message.has_value()) co_return absl::OkStatus();
    Thousands pieces(*message);
    CO_TRY_STATUS(co_await call.Send(pieces));
  }
}

Task<absl::Status> Answer3(ServerCall& call) {
  for (const char* text : {"a", "b", "c"}) CO_TRY_STATUS(co_await call.Send(text));
  co_return absl::DataLossError("after three");
}

struct GrpcPair {
  explicit GrpcPair(io::Loop& loop, size_t server_bytes_max = kMessageBytesMax,
                    size_t client_bytes_max = kMessageBytesMax)
      : loop(loop),
        server(loop, {.message_bytes_max = server_bytes_max, .connection = http::PatientOptions()}),
        channel(loop, [this](StopToken) { return Connect(); },
                {.authority = "controller.test",
                 .message_bytes_max = client_bytes_max,
                 .connection = http::PatientOptions()}),
        scope(loop) {
    server.AddUnary("/t.T/Upper", [this](ServerCall& call, std::string request) {
      return Upper(seen, call, std::move(request));
    });
    server.AddUnary("/t.T/Fail", [](ServerCall& call, std::string request) {
      return Fail(call, std::move(request));
    });
    server.AddUnary("/t.T/Hang", [this](ServerCall& call, std::string request) {
      return Hang(this->loop, seen, call, std::move(request));
    });
    server.AddStream("/t.T/Echo", [this](ServerCall& call) { return Echo(seen, call); });
    server.AddStream("/t.T/EchoInPieces", [](ServerCall& call) { return EchoInPieces(call); });
    server.AddStream("/t.T/Answer3", [](ServerCall& call) { return Answer3(call); });
  }
  Task<io::Result<std::unique_ptr<io::Stream>>> Connect() {
    ++connects;
    if (refuse) co_return std::unexpected(io::Error::Errno(ECONNREFUSED, io::Op::kConnect));
    io::Pipe pipe = io::MakePipe(loop, {.read_max = 5000});
    scope.Spawn(server.Serve(std::move(pipe.second),
                             {.address = "1.2.3.4", .identity = "spiffe://t/x"}, stop.token(),
                             absl::Milliseconds(20)));
    co_return std::move(pipe.first);
  }
  Task<void> End() {
    co_await channel.Shutdown();
    stop.RequestStop();
    co_await scope.Join();
  }

  io::Loop& loop;
  Seen seen;
  bool refuse = false;
  int connects = 0;
  Server server;
  Channel channel;
  StopSource stop;
  Scope scope;
};

CO_TEST(Grpc, UnaryCallCarriesMetadataAndPeer) {
  GrpcPair pair(loop);
  CallOptions options{.metadata = {{"authorization", "Bearer t0ken"}}};
  auto response = co_await pair.channel.Call("/t.T/Upper", "hello", options, {});
  CO_ASSERT_TRUE(response.ok());
  EXPECT_EQ(*response, "HELLO");
  EXPECT_EQ(pair.seen.authorization, "Bearer t0ken");
  EXPECT_EQ(pair.seen.peer, "spiffe://t/x");
  EXPECT_EQ(*co_await pair.channel.Call("/t.T/Upper", "", {}, {}), "");
  EXPECT_EQ(pair.connects, 1);
  co_await pair.End();
}

CO_TEST(Grpc, ErrorsArriveWithCodeAndMessage) {
  GrpcPair pair(loop);
  auto failed = co_await pair.channel.Call("/t.T/Fail", "you", {}, {});
  EXPECT_EQ(failed.status(), absl::PermissionDeniedError("no \xe2\x82\xac for you"));
  auto unknown = co_await pair.channel.Call("/t.T/Nothing", "", {}, {});
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kUnimplemented);
  co_await pair.End();
}

CO_TEST(Grpc, DeadlineEndsTheCallOnBothSides) {
  GrpcPair pair(loop);
  const CallOptions soon{.timeout = absl::Milliseconds(10)};
  auto late = co_await pair.channel.Call("/t.T/Hang", "", soon, {});
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded);
  while (!pair.seen.stopped) co_await loop.Yield();
  co_await pair.End();
}

CO_TEST(Grpc, StopCancelsTheCallAndTheServerLearnsOfIt) {
  GrpcPair pair(loop);
  Deadline soon(loop, {}, absl::Milliseconds(5));
  LinkedStopSource stop(soon.token());
  auto cancelled = co_await pair.channel.Call("/t.T/Hang", "", {}, stop.token());
  EXPECT_FALSE(cancelled.ok());
  while (!pair.seen.stopped) co_await loop.Yield();
  co_await pair.End();
}

CO_TEST(Grpc, BidirectionalStreamEndsAfterHalfClose) {
  GrpcPair pair(loop);
  {
    auto call = *co_await pair.channel.Open("/t.T/Echo", {}, {});
    for (const std::string& text : {std::string("one"), std::string(), std::string(300'000, 'x')}) {
      EXPECT_TRUE((co_await call->Send(text)).ok());
      EXPECT_EQ(co_await call->Receive(), text);
    }
    EXPECT_TRUE((co_await call->HalfClose()).ok());
    EXPECT_EQ(co_await call->Receive(), std::nullopt);
    EXPECT_TRUE((co_await call->Finish()).ok());
  }
  co_await pair.End();
}

CO_TEST(Grpc, MessageThatIsMadeInPiecesArrivesWhole) {
  GrpcPair pair(loop);
  {
    auto call = *co_await pair.channel.Open("/t.T/EchoInPieces", {}, {});
    std::string long_one(300'123, 'x');
    for (size_t i = 0; i < long_one.size(); ++i) long_one[i] = static_cast<char>(i % 251);
    for (const std::string& text :
         {std::string("one"), std::string(), std::string(1000, 'y'), long_one}) {
      EXPECT_TRUE((co_await call->Send(text)).ok());
      EXPECT_TRUE(co_await call->Receive() == text) << text.size();
    }
  }
  co_await pair.End();
}

CO_TEST(Grpc, ServerMayAnswerWithoutReading) {
  GrpcPair pair(loop);
  {
    auto call = *co_await pair.channel.Open("/t.T/Answer3", {}, {});
    EXPECT_EQ(co_await call->Receive(), "a");
    EXPECT_EQ(co_await call->Finish(), absl::DataLossError("after three"));
    EXPECT_EQ(call->trailing_metadata().Get("grpc-status"), "15");
  }
  co_await pair.End();
}

CO_TEST(Grpc, ClientThatGoesAwayStopsTheHandler) {
  GrpcPair pair(loop);
  {
    auto call = *co_await pair.channel.Open("/t.T/Echo", {}, {});
    EXPECT_TRUE((co_await call->Send("x")).ok());
    EXPECT_EQ(co_await call->Receive(), "x");
  }
  while (pair.seen.last_error.ok()) co_await loop.Yield();
  EXPECT_EQ(pair.seen.last_error.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(pair.seen.stopped);
  co_await pair.End();
}

CO_TEST(Grpc, MessagesOverTheLimitAreRefusedByWhoeverReceivesThem) {
  GrpcPair strict_server(loop, 1000);
  auto refused = co_await strict_server.channel.Call("/t.T/Upper", std::string(1001, 'x'), {}, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  co_await strict_server.End();
  GrpcPair strict_client(loop, kMessageBytesMax, 1000);
  auto too_large =
      co_await strict_client.channel.Call("/t.T/Upper", std::string(1001, 'x'), {}, {});
  EXPECT_EQ(too_large.status().code(), absl::StatusCode::kResourceExhausted) << too_large.status();
  co_await strict_client.End();
}

CO_TEST(Grpc, LargeMessagesPassWhenAllowed) {
  constexpr size_t kLarge = 12'000'000;
  GrpcPair pair(loop, 2 * kLarge, 2 * kLarge);
  auto response = co_await pair.channel.Call("/t.T/Upper", std::string(kLarge, 'x'), {}, {});
  CO_ASSERT_TRUE(response.ok());
  EXPECT_TRUE(*response == std::string(kLarge, 'X'));
  co_await pair.End();
}

CO_TEST(Grpc, ChannelConnectsWhenNeededAndAgainAfterALoss) {
  GrpcPair pair(loop);
  pair.refuse = true;
  auto refused = co_await pair.channel.Call("/t.T/Upper", "a", {}, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "controller.test")) << refused.status();
  pair.refuse = false;
  EXPECT_TRUE((co_await pair.channel.Call("/t.T/Upper", "a", {}, {})).ok());
  pair.stop.RequestStop();  // The server drains.
  while (pair.channel.connected()) co_await loop.Yield();
  const int before = pair.connects;
  (void)co_await pair.channel.Call("/t.T/Upper", "a", {}, {});
  EXPECT_EQ(pair.connects, before + 1);
  co_await pair.End();
}

CO_TEST(Grpc, ServerDrainLetsCallsEndAndStopsTheRest) {
  GrpcPair pair(loop);
  {
    auto ends = *co_await pair.channel.Open("/t.T/Echo", {}, {});
    auto stays = *co_await pair.channel.Open("/t.T/Echo", {}, {});
    EXPECT_TRUE((co_await ends->Send("x")).ok());
    EXPECT_EQ(co_await ends->Receive(), "x");
    EXPECT_TRUE((co_await stays->Send("y")).ok());
    EXPECT_EQ(co_await stays->Receive(), "y");
    pair.stop.RequestStop();
    EXPECT_TRUE((co_await ends->HalfClose()).ok());
    EXPECT_TRUE((co_await ends->Finish()).ok());
    EXPECT_EQ((co_await stays->Finish()).code(), absl::StatusCode::kUnavailable);
  }
  co_await pair.End();
}

// A server spoken to with plain HTTP/2, for what our client would not send.
struct RawCall {
  std::string name;
  http::Headers extra;
  std::string content_type;
  std::string method;
  std::string body;
  std::string want;  // ":status" or grpc-status.
};

Task<std::string> Ask(http::H2ClientConnection& client, const RawCall& c) {
  http::Headers request = {{":method", c.method},
                           {":scheme", "http"},
                           {":path", "/t.T/Upper"},
                           {":authority", "a"},
                           {"content-type", c.content_type}};
  for (const http::Header& field : c.extra) request.Add(field.name, field.value);
  auto stream = client.Open(request);
  CHECK(stream);
  (void)co_await (*stream)->Write(http::AsBytes(c.body), {});
  (void)co_await (*stream)->ShutdownWrite({});
  auto response = co_await (*stream)->Response({});
  CHECK(response);
  const int status = (*response)->status();
  if (status != 200) co_return std::to_string(status);
  (void)co_await http::ReadAll(**stream);
  const http::Headers& last = (*stream)->trailers().empty() ? **response : (*stream)->trailers();
  co_return std::string(last.Get("grpc-status"));
}

CO_TEST(Grpc, ServerRefusesWhatIsNoProperCall) {
  const std::string message = Frame("abc");
  const std::vector<RawCall> cases = {
      {"proper", {}, "application/grpc", "POST", message, "0"},
      {"no gRPC", {}, "application/json", "POST", message, "415"},
      {"GET", {}, "application/grpc", "GET", message, "405"},
      {"broken timeout", {{"grpc-timeout", "soon"}}, "application/grpc", "POST", message, "3"},
      {"no message", {}, "application/grpc", "POST", "", "13"},
      {"two messages", {}, "application/grpc", "POST", message + message, "13"},
      {"half a message", {}, "application/grpc", "POST", message.substr(0, 6), "13"},
      {"half a prefix", {}, "application/grpc", "POST", message.substr(0, 3), "13"},
      {"compressed", {}, "application/grpc", "POST", std::string("\1\0\0\0\1x", 6), "12"},
  };
  GrpcPair pair(loop);
  auto transport = co_await pair.Connect();
  http::H2ClientConnection client(loop, *std::move(transport), http::PatientOptions());
  Scope scope(loop);
  scope.Spawn(client.Run({}));
  for (const RawCall& c : cases) EXPECT_EQ(co_await Ask(client, c), c.want) << c.name;
  co_await client.Drain({});
  co_await scope.Join();
  co_await pair.End();
}

// A client that gets answers no gRPC server would give.
struct RawAnswer {
  std::string name;
  http::Headers headers;
  bool end;
  std::string body;
  http::Headers trailers;
  absl::StatusCode want;
};

Task<void> AnswerOnce(io::Loop& loop, std::unique_ptr<io::Stream> transport,
                      const RawAnswer& answer) {
  http::H2ServerConnection server(loop, std::move(transport), http::PatientOptions());
  Scope scope(loop);
  scope.Spawn(server.Run({}));
  {
    auto stream = co_await server.Accept({});
    CHECK(stream);
    (void)stream->Respond(answer.headers, answer.end);
    if (!answer.end) {
      (void)co_await stream->Write(http::AsBytes(answer.body), {});
      (void)stream->EndWithTrailers(answer.trailers);
    }
    while ((co_await server.Accept({})) != nullptr) continue;
  }
  co_await scope.Join();
}

CO_TEST(Grpc, ClientUnderstandsBrokenAnswers) {
  const http::Headers ok = {{":status", "200"}, {"content-type", "application/grpc"}};
  const std::string message = Frame("abc");
  const std::vector<RawAnswer> cases = {
      {"proper", ok, false, message, {{"grpc-status", "0"}}, absl::StatusCode::kOk},
      {"trailers only",
       {{":status", "200"}, {"grpc-status", "7"}},
       true,
       "",
       {},
       absl::StatusCode::kPermissionDenied},
      {"proxy's 503", {{":status", "503"}}, true, "", {}, absl::StatusCode::kUnavailable},
      {"web page",
       {{":status", "200"}, {"content-type", "text/html"}},
       false,
       "<html>",
       {},
       absl::StatusCode::kUnknown},
      {"no trailers", ok, false, message, {}, absl::StatusCode::kUnknown},
      {"no message", ok, false, "", {{"grpc-status", "0"}}, absl::StatusCode::kInternal},
      {"two messages",
       ok,
       false,
       message + message,
       {{"grpc-status", "0"}},
       absl::StatusCode::kInternal},
      {"half a message",
       ok,
       false,
       message.substr(0, 7),
       {{"grpc-status", "0"}},
       absl::StatusCode::kInternal},
  };
  for (const RawAnswer& c : cases) {
    io::Pipe pipe = io::MakePipe(loop);
    Scope scope(loop);
    std::unique_ptr<io::Stream> client_end = std::move(pipe.first);
    const auto connect =
        [](std::unique_ptr<io::Stream>& end) -> Task<io::Result<std::unique_ptr<io::Stream>>> {
      co_return std::move(end);
    };
    Channel channel(loop, [&](StopToken) { return connect(client_end); },
                    {.authority = "t", .connection = http::PatientOptions()});
    scope.Spawn(AnswerOnce(loop, std::move(pipe.second), c));
    auto response = co_await channel.Call("/t.T/X", "q", {}, {});
    EXPECT_EQ(response.status().code(), c.want) << c.name << ": " << response.status();
    co_await channel.Shutdown();
    co_await scope.Join();
  }
}

}  // namespace
}  // namespace heddle::grpc
