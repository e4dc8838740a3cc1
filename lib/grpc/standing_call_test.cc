// A standing call and a server, over pipes in memory, in the simulation's time.

#include "lib/grpc/standing_call.h"

#include <gtest/gtest.h>

#include <vector>

#include "lib/base/scope.h"
#include "lib/base/status.h"
#include "lib/grpc/server.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/pipe.h"
#include "lib/io/testing/simulation.h"

namespace heddle::grpc {
namespace {

// A server that answers each message with itself, and a client whose call says "hello" first and then what it is given.
struct World {
  explicit World(io::Loop& loop, Random& random)
      : loop(loop),
        server(loop, {}),
        channel(loop, [this](StopToken) { return Connect(); },
                {.authority = "x", .connection = {}}),
        call({.loop = loop,
              .random = random,
              .channel = channel,
              .method = "/t.T/Echo",
              .authorize = [this]() -> absl::StatusOr<Metadata> {
                if (refused_tokens == 0) return Metadata();
                --refused_tokens;
                return absl::NotFoundError("no token");
              },
              .begun =
                  [this] {
                    begun.push_back(this->loop.Now());
                    said = 0;
                  },
              .next = [this] { return Next(); },
              .received = [this](const std::string& message) { return Received(message); }}),
        changed(loop),
        scope(loop) {
    server.AddStream("/t.T/Echo", [this](ServerCall& call) { return Echo(call); });
  }

  Task<io::Result<std::unique_ptr<io::Stream>>> Connect() {
    io::Pipe pipe = io::MakePipe(loop);
    scope.Spawn(server.Serve(std::move(pipe.second), {}, scope.stop(), absl::ZeroDuration()));
    co_return std::move(pipe.first);
  }
  Task<absl::Status> Echo(ServerCall& call) {
    ++calls;
    while (true) {
      const auto message = co_await call.Receive();
      if (!message.ok() || !message->has_value()) co_return absl::UnavailableError("gone");
      CO_TRY_STATUS(co_await call.Send(**message));
      if (calls > quick_ends) continue;
      if (!co_await loop.Sleep(lifetime, call.stop())) co_return absl::UnavailableError("gone");
      co_return absl::UnavailableError("the server restarts");
    }
  }
  std::optional<std::string> Next() {
    if (said == to_say.size()) return std::nullopt;
    return to_say[said++];
  }
  absl::Status Received(const std::string& message) {
    if (message == refuse_once) {
      refuse_once.clear();
      return absl::InvalidArgumentError("unreadable");
    }
    received.push_back(message);
    changed.NotifyAll();
    return absl::OkStatus();
  }
  // False when it takes too long.
  Task<bool> AwaitReceived(size_t count) {
    Deadline patience(loop, {}, absl::Minutes(5));
    while (received.size() < count) {
      if (!co_await changed.Wait(patience.token())) co_return false;
    }
    co_return true;
  }
  Task<void> End() {
    co_await scope.Drain();
    co_await channel.Shutdown();
  }

  io::Loop& loop;
  Server server;
  Channel channel;
  StandingCall call;
  int refused_tokens = 0;
  std::string refuse_once;
  int quick_ends = 0;  // So many calls are ended by the server, each after `lifetime`.
  absl::Duration lifetime = absl::Milliseconds(1);
  int calls = 0;
  std::vector<std::string> to_say = {"hello"};
  size_t said = 0;
  std::vector<MonotonicTime> begun;
  std::vector<std::string> received;
  WaitQueue changed;
  Scope scope;
};

void RunWorld(Task<void> (*body)(World&)) {
  io::Simulation simulation(1);
  io::Loop& loop = simulation.AddLoop();
  World world(loop, simulation.random());
  simulation.Run(loop, body(world));
}

TEST(StandingCall, SendsWhatIsToBeSaidWhenItIsNotified) {
  RunWorld([](World& world) -> Task<void> {
    world.scope.Spawn(world.call.Run(world.scope.stop()));
    EXPECT_TRUE(co_await world.AwaitReceived(1));
    world.to_say.push_back("more");
    world.call.Notify();
    EXPECT_TRUE(co_await world.AwaitReceived(2));
    EXPECT_EQ(world.received, (std::vector<std::string>{"hello", "more"}));
    EXPECT_EQ(world.calls, 1);
    co_await world.End();
  });
}

TEST(StandingCall, ReplacesAQuietCallThatEndsAndWaitsLongerEachTime) {
  RunWorld([](World& world) -> Task<void> {
    world.quick_ends = 6;
    world.scope.Spawn(world.call.Run(world.scope.stop()));
    EXPECT_TRUE(co_await world.AwaitReceived(7));
    CO_ASSERT_TRUE(world.begun.size() == 7);
    // Between half of 3.2 s and all of it, after waits that were half as long each.
    const absl::Duration last = world.begun[6] - world.begun[5];
    EXPECT_GE(last, absl::Seconds(1.6));
    EXPECT_LE(last, absl::Seconds(3.3));
    EXPECT_LE(world.begun[1] - world.begun[0], absl::Milliseconds(110));
    co_await world.End();
  });
}

TEST(StandingCall, OneThatLivedLongIsReplacedAtOnce) {
  RunWorld([](World& world) -> Task<void> {
    world.quick_ends = 3;
    world.lifetime = absl::Seconds(20);
    world.scope.Spawn(world.call.Run(world.scope.stop()));
    EXPECT_TRUE(co_await world.AwaitReceived(4));
    CO_ASSERT_TRUE(world.begun.size() == 4);
    EXPECT_LE(world.begun[3] - world.begun[2], absl::Seconds(20) + absl::Milliseconds(110));
    co_await world.End();
  });
}

TEST(StandingCall, AMessageThatIsRefusedEndsTheCallAndAnotherBegins) {
  RunWorld([](World& world) -> Task<void> {
    world.refuse_once = "hello";
    world.scope.Spawn(world.call.Run(world.scope.stop()));
    EXPECT_TRUE(co_await world.AwaitReceived(1));
    EXPECT_EQ(world.begun.size(), 2U);
    co_await world.End();
  });
}

TEST(StandingCall, WithoutATokenItTriesAgain) {
  RunWorld([](World& world) -> Task<void> {
    world.refused_tokens = 2;
    world.scope.Spawn(world.call.Run(world.scope.stop()));
    EXPECT_TRUE(co_await world.AwaitReceived(1));
    EXPECT_EQ(world.begun.size(), 1U);
    co_await world.End();
  });
}

}  // namespace
}  // namespace heddle::grpc
