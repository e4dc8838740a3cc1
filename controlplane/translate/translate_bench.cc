// A translation costs O(objects), whatever has changed: what a change in a large mesh waits for.

#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include "controlplane/translate/translate.h"

namespace heddle::controlplane::translate {
namespace {

constexpr int kPodsPerService = 10;
constexpr int kPodsPerNode = 50;

void Fill(int pods, api::ObjectStore& objects, CapturedPods& captured) {
  for (int i = 0; i < pods; ++i) {
    const std::string app = absl::StrCat("app-", i / kPodsPerService);
    const std::string name_space = absl::StrCat("ns-", i % 20);
    const std::string node = absl::StrCat("node-", i / kPodsPerNode);
    api::Pod pod{.meta = {.name = absl::StrCat("pod-", i),
                          .name_space = name_space,
                          .uid = absl::StrCat("uid-", i),
                          .labels = {{"app", app}, {"istio.io/dataplane-mode", "ambient"}}},
                 .service_account = app,
                 .node_name = node,
                 .ips = {io::IpAddress::V4(10, static_cast<uint8_t>(i >> 16),
                                           static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i))}};
    captured[node].insert(pod.meta.uid);
    objects.Put(std::make_shared<const api::Pod>(std::move(pod)));
    if (i % kPodsPerService != 0) continue;
    api::Service service{.meta = {.name = app, .name_space = name_space},
                         .addresses = {io::IpAddress::V4(10, 96, static_cast<uint8_t>(i >> 8),
                                                         static_cast<uint8_t>(i))},
                         .selector = {{"app", app}},
                         .ports = {{.name = "http", .port = 80, .target = uint16_t{8080}}}};
    objects.Put(std::make_shared<const api::Service>(std::move(service)));
  }
}

void TranslateAll(benchmark::State& state) {
  api::ObjectStore objects;
  CapturedPods captured;
  Fill(static_cast<int>(state.range(0)), objects, captured);
  for (auto _ : state) benchmark::DoNotOptimize(Translate(objects, captured, {}));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(TranslateAll)->Arg(100)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace heddle::controlplane::translate
