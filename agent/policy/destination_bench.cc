#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include "agent/model/testing/world.h"
#include "agent/policy/destination.h"

// One next hop for a service address. Argument: endpoints of the service.
namespace heddle::agent {
namespace {

using testing::ServiceOptions;
using testing::World;
using testing::WorkloadOptions;

void Run(benchmark::State& bench, const ServiceOptions& service) {
  World world;
  world.Add(service).Add(WorkloadOptions{.name = "client", .ips = {"10.255.0.1"}});
  for (int i = 0; i < bench.range(0); ++i) {
    world.Add(WorkloadOptions{.name = absl::StrCat("web-", i),
                              .ips = {absl::StrCat("10.", i / 62500, ".", i / 250 % 250, ".", i % 250 + 1)},
                              .services = {{service.id(), {{80, 8080}}}}});
  }
  const StateRef state = world.Build();
  const WorkloadRef client = state->FindWorkload(WorkloadUid("Kubernetes//Pod/default/client"));
  const io::SocketAddress destination = *io::SocketAddress::Parse("10.96.0.1:80");
  SeededRandom random(1);
  for (auto _ : bench) {
    const NextHop hop = FindNextHop(*state, *client, destination, random);
    if (!std::holds_alternative<HboneHop>(hop)) bench.SkipWithError("not HBONE");
    benchmark::DoNotOptimize(hop);
  }
}

void BM_AnyEndpoint(benchmark::State& bench) { Run(bench, {}); }
BENCHMARK(BM_AnyEndpoint)->Arg(10)->Arg(1000)->Arg(10'000);

void BM_Failover(benchmark::State& bench) {
  ServiceOptions service;
  service.load_balancing.set_mode(istio::workload::LoadBalancing::FAILOVER);
  service.load_balancing.add_routing_preference(istio::workload::LoadBalancing::NETWORK);
  service.load_balancing.add_routing_preference(istio::workload::LoadBalancing::REGION);
  Run(bench, service);
}
BENCHMARK(BM_Failover)->Arg(10)->Arg(1000)->Arg(10'000);

// What one change costs, whatever the size of the state.
void BM_PublishOneChange(benchmark::State& bench) {
  World world;
  for (int i = 0; i < bench.range(0); ++i) {
    world.Add(WorkloadOptions{.name = absl::StrCat("web-", i),
                              .ips = {absl::StrCat("10.0.", i / 250 % 250, ".", i % 250)}});
  }
  StateRef state = world.Build();
  uint32_t capacity = 2;
  for (auto _ : bench) {
    world.Add(WorkloadOptions{.name = "web-7", .ips = {"10.0.0.7"}, .capacity = ++capacity});
    state = world.Build();
  }
}
BENCHMARK(BM_PublishOneChange)->Arg(100)->Arg(10'000)->Arg(100'000);

}  // namespace
}  // namespace heddle::agent
