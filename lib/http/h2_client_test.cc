#include "lib/http/h2_client.h"

#include <gtest/gtest.h>

#include <vector>

#include "lib/http/testing/connection_pair.h"
#include "lib/io/testing/co_test.h"

namespace heddle::http {
namespace {

// A server in memory that lets its clients in when the test says so.
class Server {
 public:
  explicit Server(io::Loop& loop)
      : open(loop),
        client(loop, [this](StopToken stop) { return Dial(stop); },
               {.server = "server.test", .connection = PatientOptions()}),
        loop_(loop),
        scope_(loop) {}

  // What Connection() said to `result`, when it has.
  void Ask(StopToken stop, std::optional<absl::StatusOr<H2ClientConnection*>>& result) {
    scope_.Spawn(Store(stop, result));
  }
  Task<void> End() {
    co_await client.Shutdown();
    co_await scope_.Drain();
  }

  Event open;
  bool refuse = false;
  int dials = 0;
  H2Client client;

 private:
  Task<absl::StatusOr<std::unique_ptr<io::Stream>>> Dial(StopToken stop) {
    ++dials;
    if (!co_await open.Wait(stop)) co_return absl::DeadlineExceededError("nobody answers");
    if (refuse) co_return absl::UnavailableError("refused");
    io::Pipe pipe = io::MakePipe(loop_);
    connections_.push_back(
        std::make_unique<H2ServerConnection>(loop_, std::move(pipe.second), PatientOptions()));
    scope_.Spawn(connections_.back()->Run(scope_.stop()));
    co_return std::move(pipe.first);
  }
  Task<void> Store(StopToken stop, std::optional<absl::StatusOr<H2ClientConnection*>>& result) {
    result = co_await client.Connection(stop);
  }

  io::Loop& loop_;
  std::vector<std::unique_ptr<H2ServerConnection>> connections_;
  Scope scope_;
};

using Asked = std::optional<absl::StatusOr<H2ClientConnection*>>;

CO_TEST(H2Client, AllWhoWaitShareOneAttemptAlsoWhenWhoBeganItGivesUp) {
  Server server(loop);
  StopSource gives_up;
  Asked first, second;
  server.Ask(gives_up.token(), first);
  server.Ask({}, second);
  gives_up.RequestStop();
  while (!first) co_await loop.Yield();
  EXPECT_EQ(first->status().code(), absl::StatusCode::kCancelled);
  server.open.Set();
  while (!second) co_await loop.Yield();
  EXPECT_TRUE(second->ok()) << second->status();
  EXPECT_EQ(server.dials, 1);
  EXPECT_EQ(*co_await server.client.Connection({}), **second);
  co_await server.End();
}

CO_TEST(H2Client, AllWhoWaitShareAFailureAndTheNextTriesAgain) {
  Server server(loop);
  server.refuse = true;
  Asked first, second;
  server.Ask({}, first);
  server.Ask({}, second);
  server.open.Set();
  while (!first || !second) co_await loop.Yield();
  EXPECT_EQ(first->status(), absl::UnavailableError("connecting to server.test: refused"));
  EXPECT_EQ(second->status(), first->status());
  EXPECT_EQ(server.dials, 1);
  server.refuse = false;
  EXPECT_TRUE((co_await server.client.Connection({})).ok());
  EXPECT_EQ(server.client.connects_total(), 1u);
  co_await server.End();
}

CO_TEST(H2Client, ARetiredConnectionCarriesWhatItHasUntilThatEnds) {
  Server server(loop);
  server.open.Set();
  H2ClientConnection* const old = *co_await server.client.Connection({});
  auto stream = old->Open(kPost);
  CO_ASSERT_TRUE(stream);
  server.client.Retire(old);
  server.client.Retire(old);
  H2ClientConnection* const fresh = *co_await server.client.Connection({});
  EXPECT_NE(fresh, old);
  EXPECT_TRUE(old->usable());
  stream->reset();
  co_await server.End();
  EXPECT_EQ(server.dials, 2);
}

CO_TEST(H2Client, ShutdownEndsAnAttemptAndThereIsNoOtherAfterIt) {
  Server server(loop);
  Asked asked;
  server.Ask({}, asked);
  co_await server.client.Shutdown();
  while (!asked) co_await loop.Yield();
  EXPECT_EQ(asked->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ((co_await server.client.Connection({})).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(server.dials, 1);
  co_await server.End();
}

}  // namespace
}  // namespace heddle::http
