#include "bench/load/client.h"
#include "bench/load/inlet.h"
#include "bench/load/latency.h"
#include "bench/load/wire.h"

namespace heddle::bench {
// The server ends first: TIME_WAIT stays with it, and the client does not run out of ports.
Task<io::Result<std::string>> ConnectOnce(Member& member, io::ConnectOptions options,
                                          StopToken stop) {
  CO_TRY(const auto connection,
         co_await member.network.Connect(member.loop, std::move(options), stop));
  const std::array<uint8_t, 1> ping = {kPing};
  std::array<uint8_t, 1> answer{};
  CO_TRY_VOID(co_await connection->Write(ping, stop));
  Inlet inlet(*connection);
  CO_TRY_VOID(co_await inlet.Exactly(answer, stop));
  if (answer != ping) co_return "another byte came than was sent";
  CO_TRY(const auto rest, co_await inlet.Some(1, stop));
  if (!rest.empty()) co_return "the server sent more than was asked for";
  CO_TRY_VOID(co_await connection->ShutdownWrite(stop));
  co_return std::string();
}

Task<void> RunConnects(Member& member, const Plan& plan, size_t, Flow& flow, StopToken stop) {
  const size_t samples_max = kSamplesMax / plan.options.flows;
  while (flow.error.empty() && member.loop.Now() < plan.end) {
    const MonotonicTime begun = member.loop.Now();
    io::ConnectOptions options{.to = plan.options.server};
    const auto done = co_await ConnectOnce(member, std::move(options), stop);
    flow.error = done ? *done : done.error().ToString();
    const MonotonicTime ended = member.loop.Now();
    if (!flow.error.empty() || !plan.Counts(ended)) continue;
    if (flow.samples.size() == samples_max) flow.error = "more samples than a run may keep";
    flow.samples.push_back(absl::ToInt64Nanoseconds(ended - begun));
    flow.operations.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace heddle::bench
