#include "bench/load/connect_cost.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/load/latency.h"
#include "lib/base/unique_fd.h"

namespace heddle::bench {

int TimeConnect(const Clock& clock, const io::SocketAddress& to, std::vector<int64_t>& samples) {
  const UniqueFd socket(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return errno;
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  sockaddr_storage address{};
  const socklen_t size = to.ToKernel(to.family(), address);
  const MonotonicTime begun = clock.Monotonic();
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return errno;
  samples.push_back(absl::ToInt64Nanoseconds(clock.Monotonic() - begun));
  return 0;
}

std::string ConnectCostJson(std::vector<int64_t>& samples, int error) {
  const LatencySummary summary = Summarize(samples);
  const nlohmann::json report = {{"connects", summary.count},
                                 {"p50_us", static_cast<double>(summary.p50) / 1e3},
                                 {"p99_us", static_cast<double>(summary.p99) / 1e3},
                                 {"mean_us", summary.mean / 1e3},
                                 {"error", error == 0 ? "" : std::strerror(error)}};
  return report.dump();
}

}  // namespace heddle::bench
