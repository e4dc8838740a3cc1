// Counts what a relay asks of the heap. Alone in its program: it replaces operator new.

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "agent/hbone/tunnel.h"
#include "agent/proxy/relay.h"
#include "lib/base/scope.h"
#include "lib/http/h2_connection.h"
#include "lib/http/testing/session_pair.h"
#include "lib/io/testing/backend_test.h"
#include "lib/tls/stream.h"
#include "lib/tls/testing/authority.h"

namespace {
uint64_t allocations = 0;
}

void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace heddle::agent {
namespace {

class RelayAllocations : public io::BackendTest {};
INSTANTIATE_BACKENDS(RelayAllocations);

Task<void> RelayBetween(io::Loop& loop, io::Stream& client, io::Stream& server) {
  RelayBytes bytes;
  EXPECT_FALSE(co_await Relay(loop, client, server, bytes, {}));
}

// Writes `message` to one end and takes as many bytes from the other.
Task<void> Carry(io::Stream& from, std::span<const uint8_t> message, io::Stream& to) {
  EXPECT_TRUE(co_await from.Write(message, {}));
  for (size_t got = 0; got < message.size();) {
    const auto block = co_await to.Read(io::BufferPool::kBulk, {});
    CO_ASSERT_TRUE(block && !block->empty());
    got += block->size();
  }
}

constexpr int kMessages = 500;
// Once a second a loop gives back what is free just then, and may have to take it anew: a few allocations, where one
// for each message would be five hundred.
constexpr uint64_t kOncePerSecond = kMessages / 10;

// What so many messages each way allocate, after some that filled the free lists.
Task<uint64_t> AllocationsOf(io::Stream& app, io::Stream& far, std::span<const uint8_t> message) {
  uint64_t before = 0;
  for (int i = 0; i < 100 + kMessages; ++i) {
    if (i == 100) before = allocations;
    co_await Carry(app, message, far);
    co_await Carry(far, message, app);
  }
  EXPECT_GT(before, 0u) << "the counter counts: the loop and the sockets are of the heap";
  co_return allocations - before;
}

CO_TEST_P(RelayAllocations, AreNoneForEachMessageAndForEachByte) {
  const auto near = co_await test.ConnectEnds();
  const auto beyond = co_await test.ConnectEnds();
  Scope scope(loop);
  scope.Spawn(RelayBetween(loop, *near.server, *beyond.client));
  for (const size_t size : {size_t{100}, size_t{1000}, size_t{50'000}}) {
    const std::string message(size, 'x');
    EXPECT_LT(co_await AllocationsOf(*near.client, *beyond.server, io::BytesOf(message)), kOncePerSecond) << size;
  }
  EXPECT_TRUE(co_await near.client->ShutdownWrite({}));
  EXPECT_TRUE(co_await beyond.server->ShutdownWrite({}));
  co_await scope.Join();
}

Task<void> Shake(tls::TlsStream& stream) { EXPECT_TRUE(co_await stream.Handshake({})); }

struct Secured {
  std::unique_ptr<tls::TlsStream> client;
  std::unique_ptr<tls::TlsStream> server;
};

// Two agents that trust each other.
Task<Secured> Secure(io::Loop& loop, const Clock& clock, io::BackendTest::Ends link) {
  const tls::TestAuthority authority(clock);
  const tls::SpiffeId one = tls::MakeId("default", "client");
  const tls::SpiffeId other = tls::MakeId("default", "server");
  Secured ends;
  ends.client = std::make_unique<tls::TlsStream>(loop, std::move(link.client), authority.Context(authority.Issue(one)),
                                                 tls::Role::kClient, tls::OneOfIdentities{{other}});
  ends.server = std::make_unique<tls::TlsStream>(loop, std::move(link.server),
                                                 authority.Context(authority.Issue(other)), tls::Role::kServer,
                                                 tls::AnyInTrustDomain{"cluster.local"});
  Scope scope(loop);
  scope.Spawn(Shake(*ends.server));
  co_await Shake(*ends.client);
  co_await scope.Join();
  co_return ends;
}

// The way of a connection through two agents. What nghttp2 and BoringSSL allocate is malloc's and not counted.
CO_TEST_P(RelayAllocations, AreNoneOfOursThroughATunnel) {
  const auto near = co_await test.ConnectEnds();
  const auto beyond = co_await test.ConnectEnds();
  Secured link = co_await Secure(loop, test.clock, co_await test.ConnectEnds());
  http::H2ClientConnection client(loop, std::move(link.client), HboneOptions());
  http::H2ServerConnection server(loop, std::move(link.server), HboneOptions());
  Scope scope(loop);
  scope.Spawn(client.Run({}));
  scope.Spawn(server.Run({}));
  {
    const auto out = *client.Open(http::kConnect);
    const auto in = co_await server.Accept({});
    EXPECT_TRUE(in->Respond(http::kOk, false));
    EXPECT_TRUE(co_await out->Response({}));
    Scope relays(loop);
    relays.Spawn(RelayBetween(loop, *near.server, *out));
    relays.Spawn(RelayBetween(loop, *in, *beyond.client));
    for (const size_t size : {size_t{100}, size_t{1000}, size_t{50'000}}) {
      const std::string message(size, 'x');
      EXPECT_LT(co_await AllocationsOf(*near.client, *beyond.server, io::BytesOf(message)), kOncePerSecond) << size;
    }
    EXPECT_TRUE(co_await near.client->ShutdownWrite({}));
    EXPECT_TRUE(co_await beyond.server->ShutdownWrite({}));
    co_await relays.Join();
  }
  co_await client.Drain({});
  co_await server.Drain({});
  co_await scope.Join();
}

}  // namespace
}  // namespace heddle::agent
