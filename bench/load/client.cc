#include "bench/load/client.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "bench/load/report.h"

namespace heddle::bench {
namespace {

// How long flows may take to end after the measurement; what takes longer hangs, and is an error.
constexpr absl::Duration kEndMax = absl::Seconds(20);

using FlowTask = Task<void> (*)(Member&, const Plan&, size_t, Flow&, StopToken);

FlowTask TaskOf(Workload workload) {
  switch (workload) {
    case Workload::kUp: return &RunBulkUp;
    case Workload::kDown: return &RunBulkDown;
    case Workload::kExchange: return &RunExchanges;
    case Workload::kConnects: return &RunConnects;
    case Workload::kHold: break;
  }
  CHECK(false);
}

struct Run {
  Plan plan;
  std::vector<Flow> flows;
  std::optional<Moment> begin, end;
  std::string error;  // Of the measurement itself.
};

Task<void> RunFlowsOf(Member& member, size_t index, size_t size, Run& run) {
  const absl::Duration longest = run.plan.options.warm_up + run.plan.options.duration + kEndMax;
  Deadline deadline(member.loop, {}, longest);
  Scope scope(member.loop);
  for (size_t i = index; i < run.flows.size(); i += size)
    scope.Spawn(
        TaskOf(run.plan.options.workload)(member, run.plan, i, run.flows[i], deadline.token()));
  co_await scope.Join();
}

std::optional<Moment> Look(io::Loop& home, Run& run) {
  auto usage = SampleUsage(run.plan.options.usage);
  if (!usage.ok()) {
    run.error = std::string(usage.status().message());
    return std::nullopt;
  }
  Moment moment{.time = home.Now(), .bytes = {}, .usage = *std::move(usage)};
  for (const Flow& flow : run.flows)
    moment.bytes.push_back(flow.bytes.load(std::memory_order_relaxed));
  return moment;
}

Task<void> Measure(io::Loop& home, Crew& crew, Run& run) {
  Scope scope(home);
  run.plan.start = home.Now();
  run.plan.begin = run.plan.start + run.plan.options.warm_up;
  run.plan.end = run.plan.begin + run.plan.options.duration;
  scope.Spawn(crew.RunAll([size = crew.size(), &run](Member& member, size_t index) {
    return RunFlowsOf(member, index, size, run);
  }));
  (void)co_await home.Sleep(run.plan.begin - home.Now(), {});
  run.begin = Look(home, run);
  (void)co_await home.Sleep(run.plan.end - home.Now(), {});
  run.end = Look(home, run);
  co_await scope.Join();
  co_await crew.Disband();
}

}  // namespace

int RunClient(const ClientOptions& options) {
  SystemClock clock;
  io::Loop home(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Crew crew(clock, home, std::min(options.workers, options.flows), options.backend);
  Run run{.plan = {.options = options, .start = {}, .begin = {}, .end = {}},
          .flows = std::vector<Flow>(options.flows),
          .begin = {},
          .end = {},
          .error = {}};
  home.RunUntilDone(Measure(home, crew, run));
  if (!run.begin || !run.end) {
    std::fprintf(stderr, "%s\n", run.error.c_str());
    return 1;
  }
  std::printf("%s\n", ReportJson(options, *run.begin, *run.end, run.flows).c_str());
  const bool failed =
      std::ranges::any_of(run.flows, [](const Flow& flow) { return !flow.error.empty(); });
  return failed ? 1 : 0;
}

}  // namespace heddle::bench
