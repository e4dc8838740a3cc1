#include "bench/load/server.h"

#include <poll.h>

#include <cstdio>
#include <utility>

#include "agent/proxy/relay.h"
#include "bench/load/crew.h"
#include "bench/load/netns.h"
#include "bench/load/service.h"
#include "lib/base/status.h"
#include "lib/io/stop_signals.h"

namespace heddle::bench {
namespace {

// What is done with one connection; `options` lives as long as the program.
using Handler = Task<void> (*)(Member& member, std::unique_ptr<io::Connection> connection,
                               const RelayOptions& options);

Task<void> Answer(Member& member, std::unique_ptr<io::Connection> connection, const RelayOptions&) {
  return Serve(member, std::move(connection));
}

Task<void> CarryOn(Member& member, std::unique_ptr<io::Connection> connection,
                   const RelayOptions& options) {
  const StopToken stop = member.scope.stop();
  io::ConnectOptions connect{.to = options.to};
  const auto server = co_await member.network.Connect(member.loop, std::move(connect), stop);
  if (!server) {
    connection->Reset();
    co_return;
  }
  // As the agent does: an end out of order stays one for both sides.
  connection->ResetUnlessEnded();
  (*server)->ResetUnlessEnded();
  agent::RelayBytes bytes;
  (void)co_await agent::Relay(member.loop, *connection, **server, bytes, stop);
}

Task<void> AcceptAll(Crew& crew, io::Listener& listener, Handler handler,
                     const RelayOptions& options, StopToken stop) {
  for (size_t next = 0;; next = (next + 1) % crew.size()) {
    auto accepted = co_await listener.Accept(stop);
    if (!accepted) co_return;
    crew.Post(next, [accepted = *std::move(accepted), handler, &options](Member& member) {
      member.scope.Spawn(handler(member, accepted->Attach(member.loop), options));
    });
  }
}

using Listeners = std::vector<std::unique_ptr<io::Listener>>;

Task<void> ServeUntilSignal(io::Loop& loop, Crew& crew, const Listeners& listeners, Handler handler,
                            const RelayOptions& options, int signals) {
  Scope scope(loop);
  for (const auto& listener : listeners)
    scope.Spawn(AcceptAll(crew, *listener, handler, options, scope.stop()));
  (void)co_await io::WaitReady(loop, signals, POLLIN, {});
  co_await scope.Drain();
  co_await crew.Disband();
}

absl::Status Add(io::Result<std::unique_ptr<io::Listener>> listener, Listeners& listeners) {
  if (!listener) return absl::UnavailableError(listener.error().ToString());
  listeners.push_back(*std::move(listener));
  return absl::OkStatus();
}

absl::StatusOr<Listeners> Listen(io::Loop& loop, const ServerOptions& options) {
  Listeners listeners;
  if (options.namespaces.empty())
    TRY_STATUS(Add(io::KernelNetwork().Listen(loop, options.listen), listeners));
  for (const std::string& path : options.namespaces) {
    TRY_ASSIGN(const Netns netns, Netns::Open(path));
    TRY_STATUS(Add(netns.Listen(loop, options.listen), listeners));
  }
  return listeners;
}

int Run(const RelayOptions& options, Handler handler) {
  const UniqueFd signals = io::BlockStopSignals();
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = options.server.backend});
  const auto listeners = Listen(loop, options.server);
  if (!listeners.ok()) {
    std::fprintf(stderr, "cannot listen on %s: %s\n", options.server.listen.ToString().c_str(),
                 std::string(listeners.status().message()).c_str());
    return 1;
  }
  Crew crew(clock, loop, options.server.workers, options.server.backend);
  std::printf("listening\n");
  std::fflush(stdout);
  loop.RunUntilDone(ServeUntilSignal(loop, crew, *listeners, handler, options, signals.get()));
  return 0;
}

}  // namespace

int RunServer(const ServerOptions& options) { return Run({.server = options, .to = {}}, &Answer); }
int RunRelay(const RelayOptions& options) { return Run(options, &CarryOn); }

}  // namespace heddle::bench
