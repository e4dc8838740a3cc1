#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/model/testing/world.h"
#include "agent/policy/authorizer.h"

// One decision against many policies. Arguments: policies, rules in each; the connection matches none of them but
// the last.
namespace heddle::agent {

uint64_t allocations = 0;  // Of the whole program; see the end of this file.

namespace {

using testing::World;
using testing::WorkloadOptions;

std::string AllowPolicy(int index, int rules, std::string_view principal) {
  std::string text = absl::StrCat("name: 'p", index, "' namespace: 'default' scope: NAMESPACE action: ALLOW");
  for (int rule = 0; rule < rules; ++rule) {
    absl::StrAppend(&text, " rules { clauses { matches { principals { exact: '", std::string(principal), rule,
                    "' } not_destination_ports: 22 } } }");
  }
  return text;
}

void BM_Decide(benchmark::State& bench) {
  World world;
  for (int i = 0; i < bench.range(0); ++i) {
    world.AddPolicy(AllowPolicy(i, static_cast<int>(bench.range(1)), "cluster.local/ns/shop/sa/other-"));
  }
  world.AddPolicy(AllowPolicy(-1, static_cast<int>(bench.range(1)), "cluster.local/ns/shop/sa/cart-"));
  world.Add(WorkloadOptions{}).Ready();
  const StateRef state = world.Build();
  const WorkloadRef workload = state->FindWorkload(WorkloadUid("Kubernetes//Pod/default/web-1"));
  const auto identity = tls::SpiffeId::Parse("spiffe://cluster.local/ns/shop/sa/cart-0");
  const ConnectionFacts facts{.source = io::IpAddress::V4(10, 0, 0, 9),
                              .destination = io::IpAddress::V4(10, 0, 0, 1),
                              .destination_port = 8080,
                              .identity = &*identity};
  for (auto _ : bench) {
    const Verdict verdict = Decide(*state, workload.get(), facts);
    if (!verdict.allowed) bench.SkipWithError("denied");
    benchmark::DoNotOptimize(verdict);
  }
}
BENCHMARK(BM_Decide)->Args({0, 1})->Args({10, 1})->Args({100, 10})->Args({10'000, 10});

// ztunnel's own shape: policies for the whole mesh, ten rules each, of which none matches. Half of them deny. The
// counter is what one decision allocates.
void BM_DecideWhenNoneMatches(benchmark::State& bench) {
  World world;
  for (int i = 0; i < bench.range(0); ++i) {
    std::string policy = absl::StrCat(
        "name: 'p", i,
        "' namespace: 'istio-system' scope: GLOBAL action: ", i % 2 == 0 ? "DENY" : "ALLOW");
    for (int rule = 0; rule < 10; ++rule) {
      absl::StrAppend(
          &policy, " rules { clauses { matches { principals { exact: 'cluster.local/ns/other/sa/a-",
          i, "-", rule, "' } namespaces { exact: 'other-", rule,
          "' } not_destination_ports: 22 destination_ports: ", 1000 + rule, " } } }");
    }
    world.AddPolicy(policy);
  }
  world.Add(WorkloadOptions{}).Ready();
  const StateRef state = world.Build();
  const WorkloadRef workload = state->FindWorkload(WorkloadUid("Kubernetes//Pod/default/web-1"));
  const auto identity = tls::SpiffeId::Parse("spiffe://cluster.local/ns/shop/sa/cart-0");
  const ConnectionFacts facts{.source = io::IpAddress::V4(10, 0, 0, 9),
                              .destination = io::IpAddress::V4(10, 0, 0, 1),
                              .destination_port = 8080,
                              .identity = &*identity};
  const uint64_t before = allocations;
  for (auto _ : bench) {
    const Verdict verdict = Decide(*state, workload.get(), facts);
    if (verdict.allowed != (bench.range(0) < 2)) bench.SkipWithError("decided otherwise");
    benchmark::DoNotOptimize(verdict);
  }
  bench.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                     benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_DecideWhenNoneMatches)->Arg(0)->Arg(10)->Arg(1000)->Arg(10'000);

}  // namespace
}  // namespace heddle::agent

void* operator new(size_t size) {
  ++heddle::agent::allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
