#include "bench/load/report.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/load/latency.h"

namespace heddle::bench {
namespace {

using Json = nlohmann::json;

constexpr size_t kErrorsShown = 5;

double Microseconds(int64_t ns) { return static_cast<double>(ns) / 1e3; }

Json LatencyJson(std::vector<int64_t>& samples) {
  const LatencySummary summary = Summarize(samples);
  return {{"count", summary.count},
          {"min", Microseconds(summary.min)},
          {"p50", Microseconds(summary.p50)},
          {"p90", Microseconds(summary.p90)},
          {"p99", Microseconds(summary.p99)},
          {"p99.9", Microseconds(summary.p999)},
          {"p99.99", Microseconds(summary.p9999)},
          {"max", Microseconds(summary.max)},
          {"mean", summary.mean / 1e3}};
}

Json UsageJson(const Moment& begin, const Moment& end) {
  Json cpu = Json::object();
  for (const auto& [name, usec] : end.usage.usec)
    cpu[name] = static_cast<double>(usec - begin.usage.usec.at(name)) / 1e6;
  return cpu;
}

double StealShare(const UsageSample& begin, const UsageSample& end) {
  const auto total = static_cast<double>(end.total_ticks - begin.total_ticks);
  return total > 0 ? static_cast<double>(end.steal_ticks - begin.steal_ticks) / total : 0;
}

bool WriteSamples(const std::string& path, const std::vector<int64_t>& samples) {
  if (path.empty()) return true;
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(samples.data()),
             static_cast<std::streamsize>(samples.size() * sizeof(int64_t)));
  return file.flush().good();
}

}  // namespace

std::string ReportJson(const ClientOptions& options, const Moment& begin, const Moment& end,
                       std::vector<Flow>& flows) {
  std::vector<int64_t> samples;
  std::vector<uint64_t> bytes_by_flow;
  Json errors = Json::array();
  uint64_t failed = 0;
  uint64_t bytes = 0;
  uint64_t operations = 0;
  for (size_t i = 0; i < flows.size(); ++i) {
    bytes_by_flow.push_back(end.bytes[i] - begin.bytes[i]);
    bytes += bytes_by_flow.back();
    operations += flows[i].operations.load(std::memory_order_relaxed);
    samples.insert(samples.end(), flows[i].samples.begin(), flows[i].samples.end());
    std::vector<int64_t>().swap(flows[i].samples);
    failed += flows[i].error.empty() ? 0 : 1;
    if (!flows[i].error.empty() && errors.size() < kErrorsShown) errors.push_back(flows[i].error);
  }
  const double seconds = absl::ToDoubleSeconds(end.time - begin.time);
  Json report = {{"seconds", seconds},
                 {"flows", flows.size()},
                 {"bytes", bytes},
                 {"bytes_by_flow", bytes_by_flow},
                 {"operations", operations},
                 {"cpu_seconds", UsageJson(begin, end)},
                 {"steal_share", StealShare(begin.usage, end.usage)},
                 {"latency_us", LatencyJson(samples)}};
  if (!WriteSamples(options.samples_file, samples)) {
    ++failed;
    errors.push_back("cannot write " + options.samples_file);
  }
  report["failed_flows"] = failed;
  report["errors"] = std::move(errors);
  return report.dump();
}

}  // namespace heddle::bench
