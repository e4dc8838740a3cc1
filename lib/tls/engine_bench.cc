#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "lib/base/clock.h"
#include "lib/tls/engine.h"
#include "lib/tls/testing/authority.h"
#include "lib/tls/testing/engine_pair.h"

namespace heddle::tls {
namespace {

// Two identities of one authority, both ends verified, as between agents.
class Ends {
 public:
  // With `known`, each end remembers the other's chain.
  explicit Ends(std::shared_ptr<VerifiedChains> known = nullptr, std::vector<Group> groups = {Group::kX25519})
      : groups_(std::move(groups)),
        client_context_(Context(client_, known)),
        server_context_(Context(server_, known)) {}

  struct Pair {
    TlsEngine client;
    TlsEngine server;
  };

  std::unique_ptr<Pair> MakeOpen() {
    auto pair = std::unique_ptr<Pair>(
        new Pair{{client_context_, Role::kClient, OneOfIdentities{{server_}}},
                 {server_context_, Role::kServer, AnyInTrustDomain{"cluster.local"}}});
    Settle(pair->client, pair->server);
    CHECK(pair->client.state() == TlsState::kOpen && pair->server.state() == TlsState::kOpen);
    return pair;
  }

 private:
  std::shared_ptr<const TlsContext> Context(const SpiffeId& id,
                                            std::shared_ptr<VerifiedChains> known) const {
    return authority_.ContextWith({.credential = authority_.Issue(id),
                                   .roots = authority_.roots(),
                                   .alpn = {"h2"},
                                   .groups = groups_,
                                   .verified_chains = std::move(known)});
  }

  const std::vector<Group> groups_;
  SystemClock clock_;
  TestAuthority authority_{clock_};
  SpiffeId client_ = MakeId("default", "client");
  SpiffeId server_ = MakeId("default", "server");
  std::shared_ptr<const TlsContext> client_context_;
  std::shared_ptr<const TlsContext> server_context_;
};

// Both ends of a full handshake, both certificates verified.
void BM_Handshake(benchmark::State& bench) {
  Ends ends;
  for (auto _ : bench) benchmark::DoNotOptimize(ends.MakeOpen());
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(BM_Handshake);

// As between agents that have met before.
void BM_HandshakeOfKnownChains(benchmark::State& bench) {
  Ends ends(std::make_shared<VerifiedChains>());
  for (auto _ : bench) benchmark::DoNotOptimize(ends.MakeOpen());
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(BM_HandshakeOfKnownChains);

// What the hybrid key exchange adds to that.
void BM_HandshakeOfKnownChainsHybrid(benchmark::State& bench) {
  Ends ends(std::make_shared<VerifiedChains>(), {Group::kX25519MlKem768, Group::kX25519});
  for (auto _ : bench) benchmark::DoNotOptimize(ends.MakeOpen());
  bench.SetItemsProcessed(bench.iterations());
}
BENCHMARK(BM_HandshakeOfKnownChainsHybrid);

void BM_Seal(benchmark::State& bench) {
  Ends ends;
  auto pair = ends.MakeOpen();
  const std::vector<uint8_t> plaintext(static_cast<size_t>(bench.range(0)), 'x');
  for (auto _ : bench) {
    CHECK(pair->client.Write(plaintext) == plaintext.size());
    pair->client.ConsumeOutput(pair->client.output().size());
  }
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_Seal)->Arg(64)->Arg(1350)->Arg(16 * 1024)->Arg(64 * 1024);

// The difference to BM_Seal is the other end.
void BM_SealAndOpen(benchmark::State& bench) {
  Ends ends;
  auto pair = ends.MakeOpen();
  const std::vector<uint8_t> plaintext(static_cast<size_t>(bench.range(0)), 'x');
  std::vector<uint8_t> opened(plaintext.size());
  for (auto _ : bench) {
    CHECK(pair->client.Write(plaintext) == plaintext.size());
    const auto read = pair->server.Read(pair->client.output(), opened);
    CHECK(read.produced == plaintext.size());
    pair->client.ConsumeOutput(pair->client.output().size());
  }
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_SealAndOpen)->Arg(64)->Arg(1350)->Arg(16 * 1024)->Arg(64 * 1024);

}  // namespace
}  // namespace heddle::tls
