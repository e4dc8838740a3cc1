#include <poll.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/load/client.h"
#include "bench/load/inlet.h"
#include "bench/load/wire.h"
#include "lib/io/stop_signals.h"

namespace heddle::bench {
namespace {

// Connections that are being opened at a time, so that no listen queue overflows.
constexpr size_t kOpening = 32;
constexpr absl::Duration kOpenMax = absl::Seconds(120);

// One of kOpening openers: what it opens stays open until it goes.
struct Opener {
  std::vector<std::unique_ptr<io::Connection>> held;
  std::string error;
};

Task<io::Result<bool>> OpenOne(Member& member, const ClientOptions& options, Opener& opener,
                               StopToken stop) {
  io::ConnectOptions connect{.to = options.server};
  CO_TRY(auto connection, co_await member.network.Connect(member.loop, std::move(connect), stop));
  const Order order{.kind = OrderKind::kExchange,
                    .seed = static_cast<uint32_t>(opener.held.size()),
                    .request_bytes = 1,
                    .response_bytes = options.response_bytes};
  const auto head = Encode(order);
  CO_TRY_VOID(co_await connection->Write(head, stop));
  CO_TRY_VOID(co_await connection->Write(Pattern(order.seed).At(0, 1), stop));
  Inlet inlet(*connection);
  CO_TRY(const bool same,
         co_await inlet.Checked(Pattern(order.seed + 1), order.response_bytes, stop));
  opener.held.push_back(std::move(connection));
  co_return same;
}

Task<void> OpenShare(Member& member, const ClientOptions& options, size_t count, Opener& opener,
                     StopToken stop) {
  while (opener.held.size() < count && opener.error.empty()) {
    const auto opened = co_await OpenOne(member, options, opener, stop);
    if (!opened) opener.error = opened.error().ToString();
    if (opened && !*opened) opener.error = "other bytes came than were sent";
  }
}

Task<void> OpenAndHold(Member& member, const ClientOptions& options, std::vector<Opener>& openers,
                       int signals) {
  Deadline deadline(member.loop, {}, kOpenMax);
  Scope scope(member.loop);
  for (size_t i = 0; i < openers.size(); ++i) {
    const size_t share = (options.connections + openers.size() - 1 - i) / openers.size();
    scope.Spawn(OpenShare(member, options, share, openers[i], deadline.token()));
  }
  co_await scope.Join();
  size_t held = 0;
  nlohmann::json errors = nlohmann::json::array();
  for (const Opener& opener : openers) {
    held += opener.held.size();
    if (!opener.error.empty()) errors.push_back(opener.error);
  }
  const nlohmann::json event = {
      {"event", "held"}, {"connections", held}, {"errors", std::move(errors)}};
  std::printf("%s\n", event.dump().c_str());
  std::fflush(stdout);
  (void)co_await io::WaitReady(member.loop, signals, POLLIN, {});
  for (Opener& opener : openers) opener.held.clear();
}

}  // namespace

int RunHold(const ClientOptions& options) {
  const UniqueFd signals = io::BlockStopSignals();
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = options.backend});
  Member member(loop);
  std::vector<Opener> openers(kOpening);
  loop.RunUntilDone(OpenAndHold(member, options, openers, signals.get()));
  for (const Opener& opener : openers)
    if (!opener.error.empty()) return 1;
  return 0;
}

}  // namespace heddle::bench
