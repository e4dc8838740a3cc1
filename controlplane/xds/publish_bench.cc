// From a change of one pod to what 100 agents are sent, without the network, and what it takes to hold a
// mesh and to send it to an agent that holds nothing.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/translate/testing/large_mesh.h"
#include "controlplane/xds/delta_subscriber.h"

namespace heddle::controlplane::xds {
namespace {

using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
constexpr ResourceType kTypes[] = {ResourceType::kNodePod, ResourceType::kAuthorization,
                                   ResourceType::kAddress};

double ResidentMegabytes() {
  size_t total = 0;
  size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident * static_cast<size_t>(sysconf(_SC_PAGESIZE))) / 1e6;
}

// Takes and acknowledges all that there is; gives the bytes.
size_t Drain(DeltaSubscriber& subscriber) {
  size_t bytes = 0;
  std::string piece;
  while (auto response = subscriber.Next()) {
    for (size_t left = response->size(); left > 0; left -= piece.size()) {
      piece.clear();
      response->AppendNext(piece);
    }
    bytes += response->size();
    Request acknowledged;
    acknowledged.set_type_url(std::string(TypeUrl(response->type())));
    // A subscriber counts its responses.
    acknowledged.set_response_nonce(std::to_string(subscriber.counts().responses));
    if (!subscriber.OnRequest(acknowledged).ok()) return 0;
  }
  return bytes;
}

struct World {
  explicit World(int pods) : translation(objects, {}) {
    const double before = ResidentMegabytes();
    const translate::MeshChanges all = translate::testing::Fill(pods, objects);
    objects_mb = ResidentMegabytes() - before;
    state.Publish(Encode(translation.Update(all)));
    all_mb = ResidentMegabytes() - before;
  }
  std::unique_ptr<DeltaSubscriber> Subscribe(int node) const {
    auto subscriber = std::make_unique<DeltaSubscriber>(absl::StrCat("node-", node), state);
    for (const ResourceType type : kTypes) {
      Request request;
      request.set_type_url(std::string(TypeUrl(type)));
      (void)subscriber->OnRequest(request);
    }
    return subscriber;
  }

  api::ObjectStore objects;
  translate::IncrementalTranslation translation;
  PublishedState state;
  double objects_mb = 0;
  double all_mb = 0;
};

void OnePodToAHundredAgents(benchmark::State& bench) {
  const int pods = static_cast<int>(bench.range(0));
  World world(pods);
  std::vector<std::unique_ptr<DeltaSubscriber>> agents;
  for (int node = 0; node < 100; ++node) {
    agents.push_back(world.Subscribe(node));
    Drain(*agents.back());
  }
  int i = 0;
  size_t bytes = 0;
  for (auto _ : bench) {
    i = (i + 7919) % pods;
    const auto changes = world.objects.Apply(
        {.upserted = {translate::testing::MakePod(i, i % 2 == 0)}, .removed = {}});
    world.state.Publish(Encode(world.translation.Update({.objects = changes})));
    for (const auto& agent : agents) bytes += Drain(*agent);
  }
  bench.counters["bytes"] =
      benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kAvgIterations);
}
BENCHMARK(OnePodToAHundredAgents)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

// An agent that holds nothing; the megabytes are what holding the mesh takes, objects and all.
void EverythingToOneAgent(benchmark::State& bench) {
  const World world(static_cast<int>(bench.range(0)));
  size_t bytes = 0;
  for (auto _ : bench) bytes = Drain(*world.Subscribe(0));
  bench.counters["sent_MB"] = static_cast<double>(bytes) / 1e6;
  bench.counters["objects_MB"] = world.objects_mb;
  bench.counters["held_MB"] = world.all_mb;
}
BENCHMARK(EverythingToOneAgent)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace heddle::controlplane::xds
