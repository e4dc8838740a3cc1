#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/model/testing/world.h"
#include "agent/xds/delta_session.h"
#include "agent/xds/state_store.h"

// From the bytes of a response to the state that connections are decided by. Argument: workloads.
namespace heddle::agent {
namespace {

using Response = DeltaSession::Response;

void AddWorkload(int i, uint32_t capacity, Response& response) {
  const testing::WorkloadOptions options{
      .name = absl::StrCat("web-", i),
      .ips = {absl::StrCat("10.", i / 62'500, ".", i / 250 % 250, ".", i % 250 + 1)},
      .capacity = capacity,
      .services = {
          {absl::StrCat("default/web-", i / 10, ".default.svc.cluster.local"), {{80, 8080}}}}};
  auto& resource = *response.add_resources();
  resource.set_name(options.uid());
  resource.set_version(absl::StrCat(capacity));
  resource.mutable_resource()->set_type_url(std::string(TypeUrl(ResourceKind::kAddress)));
  resource.mutable_resource()->set_value(testing::MakeWorkload(options).SerializeAsString());
}

std::string Bytes(int first, int last, uint32_t capacity) {
  Response response;
  response.set_type_url(std::string(TypeUrl(ResourceKind::kAddress)));
  response.set_nonce("1");
  for (int i = first; i < last; ++i) AddWorkload(i, capacity, response);
  return response.SerializeAsString();
}

bool Apply(DeltaSession& session, const std::string& bytes, int resources) {
  Response response;
  if (!response.ParseFromString(bytes)) return false;
  const DeltaSession::Outcome outcome = session.Handle(std::move(response));
  return outcome.applied == static_cast<size_t>(resources) && outcome.state != nullptr;
}

void BM_ApplyEverything(benchmark::State& bench) {
  const int workloads = static_cast<int>(bench.range(0));
  const std::string bytes = Bytes(0, workloads, 1);
  for (auto _ : bench) {
    StateBuilder builder;
    DeltaSession session(builder, {}, {ResourceKind::kAddress});
    if (!Apply(session, bytes, workloads)) bench.SkipWithError("refused");
  }
  bench.SetItemsProcessed(bench.iterations() * workloads);
}
BENCHMARK(BM_ApplyEverything)->Arg(1000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

std::string FileOf(int workloads) {
  StateBuilder builder;
  DeltaSession session(builder, {}, {ResourceKind::kAddress});
  return Apply(session, Bytes(0, workloads, 1), workloads) ? *EncodeState(session.held()) : "";
}

// What a start of the agent does with the file of the last state: what the first connection waits for (the argument
// `hold` is 0), and all of it.
void BM_LoadState(benchmark::State& bench) {
  const int workloads = static_cast<int>(bench.range(0));
  const std::string file = FileOf(workloads);
  for (auto _ : bench) {
    auto builder = std::make_unique<StateBuilder>();
    auto session = std::make_unique<DeltaSession>(*builder, NodeDescription{},
                                                  std::vector{ResourceKind::kAddress});
    const auto stored = ViewState(file);
    StateRef state = stored.ok() ? session->Restore(*stored) : nullptr;
    if (state == nullptr) {
      bench.SkipWithError("refused");
      break;
    }
    if (bench.range(1) != 0) session->HoldRestored(*stored);
    bench.PauseTiming();  // A start destroys nothing.
    state = nullptr;
    session.reset();
    builder.reset();
    bench.ResumeTiming();
  }
  bench.SetBytesProcessed(bench.iterations() * static_cast<int64_t>(file.size()));
  bench.SetItemsProcessed(bench.iterations() * workloads);
}
BENCHMARK(BM_LoadState)
    ->ArgNames({"workloads", "hold"})
    ->ArgsProduct({{1000, 10'000, 100'000}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_ApplyOneChange(benchmark::State& bench) {
  const int workloads = static_cast<int>(bench.range(0));
  StateBuilder builder;
  DeltaSession session(builder, {}, {ResourceKind::kAddress});
  if (!Apply(session, Bytes(0, workloads, 1), workloads)) bench.SkipWithError("refused");
  const std::string changes[] = {Bytes(7, 8, 2), Bytes(7, 8, 1)};
  size_t next = 0;
  for (auto _ : bench) {
    if (!Apply(session, changes[next++ % 2], 1)) bench.SkipWithError("refused");
  }
}
BENCHMARK(BM_ApplyOneChange)->Arg(1000)->Arg(10'000)->Arg(100'000);

}  // namespace
}  // namespace heddle::agent
