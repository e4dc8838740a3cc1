#include "bench/load/sweep.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "bench/load/client.h"
#include "bench/load/netns.h"

namespace heddle::bench {
namespace {

constexpr absl::Duration kRetryPause = absl::Milliseconds(1);

// One client; its worker's alone while it sweeps.
struct Sweep {
  std::optional<Netns> netns;  // Absent: the process's own.
  size_t first = 0;            // The server that it begins with.
  std::string error;
  MonotonicTime begun;
  std::vector<int64_t> ended_ns;  // Of each connection that counts.
};

Task<io::Result<std::string>> TryOnce(Member& member, const Sweep& sweep, io::SocketAddress server,
                                      StopToken stop) {
  io::ConnectOptions options{.to = server};
  if (sweep.netns) {
    CO_TRY(options.socket, sweep.netns->TcpSocket(server.family()));
  }
  co_return co_await ConnectOnce(member, std::move(options), stop);
}

Task<std::string> ConnectToOne(Member& member, const SweepOptions& options, const Sweep& sweep,
                               io::SocketAddress server, StopToken stop) {
  auto done = co_await TryOnce(member, sweep, server, stop);
  while (!done && options.retry && co_await member.loop.Sleep(kRetryPause, stop))
    done = co_await TryOnce(member, sweep, server, stop);
  co_return done ? *done : done.error().ToString();
}

Task<void> ConnectToEach(Member& member, const SweepOptions& options, Sweep& sweep, StopToken stop) {
  const size_t count = options.servers.size();
  const MonotonicTime start = MonotonicTime::FromNanoseconds(options.start_ns);
  for (size_t i = 0; i < count; ++i) {
    if (i == options.warm_up) {
      if (start > member.loop.Now()) (void)co_await member.loop.Sleep(start - member.loop.Now(), {});
      sweep.begun = member.loop.Now();
    }
    sweep.error = co_await ConnectToOne(member, options, sweep,
                                        options.servers[(sweep.first + i) % count], stop);
    if (!sweep.error.empty()) break;
    if (i >= options.warm_up) sweep.ended_ns.push_back(member.loop.Now().nanoseconds());
  }
}

Task<void> RunClientsOf(Member& member, size_t index, size_t size, const SweepOptions& options,
                        std::vector<Sweep>& sweeps) {
  Deadline deadline(member.loop, {}, kSweepMax);
  Scope scope(member.loop);
  for (size_t i = index; i < sweeps.size(); i += size)
    scope.Spawn(ConnectToEach(member, options, sweeps[i], deadline.token()));
  co_await scope.Join();
}

Task<void> RunSweeps(Crew& crew, const SweepOptions& options, std::vector<Sweep>& sweeps) {
  Task<void> all = crew.RunAll([size = crew.size(), &options, &sweeps](Member& member, size_t index) {
    return RunClientsOf(member, index, size, options, sweeps);
  });
  co_await std::move(all);
  co_await crew.Disband();
}

absl::StatusOr<std::vector<Sweep>> MakeSweeps(const SweepOptions& options) {
  std::vector<Sweep> sweeps(std::max<size_t>(1, options.clients.size()));
  for (size_t i = 0; i < options.clients.size(); ++i) {
    auto netns = Netns::Open(options.clients[i]);
    if (!netns.ok()) return netns.status();
    sweeps[i].netns = *std::move(netns);
    sweeps[i].first = i * options.servers.size() / options.clients.size();
  }
  return sweeps;
}

int Report(const std::vector<Sweep>& sweeps) {
  nlohmann::json clients = nlohmann::json::array();
  std::string error;
  for (const Sweep& sweep : sweeps) {
    clients.push_back({{"begun_ns", sweep.begun.nanoseconds()}, {"ended_ns", sweep.ended_ns}});
    if (error.empty()) error = sweep.error;
  }
  std::printf("%s\n", nlohmann::json({{"clients", clients}, {"error", error}}).dump().c_str());
  return error.empty() ? 0 : 1;
}

}  // namespace

int RunSweep(const SweepOptions& options) {
  auto sweeps = MakeSweeps(options);
  if (!sweeps.ok()) {
    std::fprintf(stderr, "%s\n", std::string(sweeps.status().message()).c_str());
    return 1;
  }
  SystemClock clock;
  io::Loop home(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Crew crew(clock, home, std::min(options.workers, sweeps->size()), io::BackendChoice::kEpoll);
  home.RunUntilDone(RunSweeps(crew, options, *sweeps));
  return Report(*sweeps);
}

}  // namespace heddle::bench
