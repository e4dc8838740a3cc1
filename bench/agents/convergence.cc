#include "bench/agents/convergence.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/agents/process_usage.h"
#include "bench/load/latency.h"
#include "lib/base/file.h"
#include "lib/base/status.h"

namespace heddle::bench {
namespace {

constexpr absl::Duration kColdMax = absl::Seconds(300);
constexpr absl::Duration kChangeMax = absl::Seconds(30);
constexpr uint64_t kFileBytesMax = 1 << 20;

nlohmann::json Milliseconds(std::vector<int64_t>& samples) {
  const LatencySummary summary = Summarize(samples);
  const auto ms = [](int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; };
  return {{"count", summary.count},
          {"p50", ms(summary.p50)},
          {"p99", ms(summary.p99)},
          {"max", ms(summary.max)}};
}

class Convergence {
 public:
  Convergence(io::Loop& loop, const ConvergenceOptions& options)
      : loop_(loop), options_(options), fleet_(loop, options.fleet) {}

  Task<void> Run() {
    Scope scope(loop_);
    absl::Status done = co_await ConnectAll(scope);
    if (done.ok()) done = co_await ChangeAgainAndAgain();
    report_["error"] = done.ok() ? "" : done.ToString();
    co_await scope.Drain();
  }
  const nlohmann::json& report() const { return report_; }

 private:
  absl::Status Failure(const char* what) const {
    return absl::UnavailableError(fleet_.failure().empty() ? what : fleet_.failure());
  }

  Task<absl::Status> ConnectAll(Scope& scope) {
    const ProcessUsage before = UsageOf(options_.controller_pid);
    const MonotonicTime began = loop_.clock().Monotonic();
    fleet_.Start(scope);
    Deadline deadline(loop_, {}, kColdMax);
    if (!co_await fleet_.AwaitEverything(deadline.token()))
      co_return Failure("agents waited too long for their first responses");
    const ProcessUsage after = UsageOf(options_.controller_pid);
    report_["cold"] = {{"seconds", absl::ToDoubleSeconds(loop_.clock().Monotonic() - began)},
                       {"cpu_seconds", after.cpu_seconds - before.cpu_seconds},
                       {"before_mb", before.resident_mb},
                       {"after_mb", after.resident_mb},
                       {"peak_mb", after.resident_peak_mb}};
    co_return absl::OkStatus();
  }

  Task<absl::Status> ChangeAgainAndAgain() {
    CO_TRY_ASSIGN(const std::string ready, ReadFile(options_.ready_file, kFileBytesMax));
    CO_TRY_ASSIGN(const std::string unready, ReadFile(options_.unready_file, kFileBytesMax));
    const double cpu = UsageOf(options_.controller_pid).cpu_seconds;
    for (size_t change = 0; change < options_.changes; ++change) {
      const bool healthy = change % 2 == 1;
      fleet_.Expect(healthy);
      const MonotonicTime began = loop_.clock().Monotonic();
      CO_TRY_STATUS(
          ReplaceFile(options_.change_file, healthy ? ready : unready, Durability::kProcessCrash));
      Deadline deadline(loop_, {}, kChangeMax);
      if (!co_await fleet_.AwaitEffective(deadline.token()))
        co_return Failure("a change did not become effective");
      for (const MonotonicTime at : fleet_.effective())
        each_.push_back(absl::ToInt64Nanoseconds(at - began));
      last_.push_back(absl::ToInt64Nanoseconds(fleet_.effective().back() - began));
      (void)co_await loop_.Sleep(options_.pause, {});
    }
    const auto count = static_cast<double>(options_.changes);
    report_["change"] = {{"each_ms", Milliseconds(each_)},
                         {"last_ms", Milliseconds(last_)},
                         {"cpu_ms", (UsageOf(options_.controller_pid).cpu_seconds - cpu) * 1e3 /
                                        std::max(count, 1.0)},
                         {"resident_mb", UsageOf(options_.controller_pid).resident_mb}};
    co_return absl::OkStatus();
  }

  io::Loop& loop_;
  const ConvergenceOptions& options_;
  Fleet fleet_;
  nlohmann::json report_;
  std::vector<int64_t> each_,
      last_;  // Nanoseconds: of every agent, and of the last one of each change.
};

}  // namespace

int RunConvergence(const ConvergenceOptions& options) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Convergence convergence(loop, options);
  loop.RunUntilDone(convergence.Run());
  std::printf("%s\n", convergence.report().dump().c_str());
  return convergence.report()["error"] == "" ? 0 : 1;
}

}  // namespace heddle::bench
