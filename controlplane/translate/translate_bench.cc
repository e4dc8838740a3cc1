// What a change in a large mesh waits for: a translation of what it affects, against one of everything,
// which is what a start costs.

#include <benchmark/benchmark.h>

#include "controlplane/translate/testing/large_mesh.h"

namespace heddle::controlplane::translate {
namespace {

void TranslateAll(benchmark::State& state) {
  api::ObjectStore objects;
  const MeshChanges all = testing::Fill(static_cast<int>(state.range(0)), objects);
  for (auto _ : state) benchmark::DoNotOptimize(Translate(objects, all.captured, {}));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(TranslateAll)->Arg(1000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

// The first round of what follows changes.
void TranslateFirst(benchmark::State& state) {
  api::ObjectStore objects;
  const MeshChanges all = testing::Fill(static_cast<int>(state.range(0)), objects);
  for (auto _ : state) {
    IncrementalTranslation translation(objects, {});
    benchmark::DoNotOptimize(translation.Update(all));
  }
}
BENCHMARK(TranslateFirst)->Arg(1000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

// One pod becomes unready and ready again.
void TranslateOnePod(benchmark::State& state) {
  api::ObjectStore objects;
  IncrementalTranslation translation(objects, {});
  (void)translation.Update(testing::Fill(static_cast<int>(state.range(0)), objects));
  const int pods = static_cast<int>(state.range(0));
  int i = 0;
  for (auto _ : state) {
    i = (i + 7919) % pods;
    benchmark::DoNotOptimize(translation.Update(
        {.objects =
             objects.Apply({.upserted = {testing::MakePod(i, i % 2 == 0)}, .removed = {}})}));
  }
}
BENCHMARK(TranslateOnePod)->Arg(1000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

// A policy that selects the ten pods of a service, with others beside it.
void TranslateOnePolicy(benchmark::State& state) {
  api::ObjectStore objects;
  IncrementalTranslation translation(objects, {});
  (void)translation.Update(testing::Fill(static_cast<int>(state.range(0)), objects));
  int i = 0;
  for (auto _ : state) {
    api::AuthorizationPolicy policy{.meta = {.name = "policy", .name_space = "namespace-3"},
                                    .selector = {{"app", ++i % 2 == 0 ? "app-3" : "app-23"}}};
    benchmark::DoNotOptimize(translation.Update(
        {.objects =
             objects.Apply({.upserted = {std::make_shared<const api::AuthorizationPolicy>(policy)},
                            .removed = {}})}));
  }
}
BENCHMARK(TranslateOnePolicy)->Arg(1000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace heddle::controlplane::translate
