#include "bench/load/interception.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/load/latency.h"
#include "lib/base/clock.h"
#include "lib/base/unique_fd.h"
#include "lib/io/loop.h"

namespace heddle::bench {
namespace {

struct Result {
  std::vector<int64_t> samples;
  int error = 0;
};

int ConnectOnce(const Clock& clock, const InterceptionOptions& options,
                std::vector<int64_t>& samples) {
  const UniqueFd socket(::socket(options.to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return errno;
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  sockaddr_storage address{};
  const socklen_t size = options.to.ToKernel(options.to.family(), address);
  const MonotonicTime begun = clock.Monotonic();
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return errno;
  samples.push_back(absl::ToInt64Nanoseconds(clock.Monotonic() - begun));
  return 0;
}

Task<void> ConnectAll(io::Loop& loop, const InterceptionOptions& options, Result& result) {
  while (result.samples.size() < options.count && result.error == 0) {
    result.error = ConnectOnce(loop.clock(), options, result.samples);
    (void)co_await loop.Sleep(options.pause, {});
  }
}

}  // namespace

int RunInterception(const InterceptionOptions& options) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Result result;
  loop.RunUntilDone(ConnectAll(loop, options, result));
  const LatencySummary summary = Summarize(result.samples);
  const nlohmann::json report = {{"connects", summary.count},
                                 {"p50_us", static_cast<double>(summary.p50) / 1e3},
                                 {"p99_us", static_cast<double>(summary.p99) / 1e3},
                                 {"mean_us", summary.mean / 1e3},
                                 {"error", result.error == 0 ? "" : std::strerror(result.error)}};
  std::printf("%s\n", report.dump().c_str());
  return result.error == 0 ? 0 : 1;
}

}  // namespace heddle::bench
