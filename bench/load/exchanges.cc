#include <algorithm>

#include "bench/load/client.h"
#include "bench/load/inlet.h"
#include "bench/load/latency.h"
#include "bench/load/schedule.h"
#include "bench/load/wire.h"

namespace heddle::bench {
namespace {

// When the next request is due: at once, or by the schedule of an open loop.
class Pace {
 public:
  Pace(const Plan& plan, size_t index)
      : open_(plan.options.rate > 0),
        schedule_(plan.start, open_ ? plan.options.rate : 1, plan.options.flows),
        index_(index) {}
  MonotonicTime Next(MonotonicTime now) { return open_ ? schedule_.At(index_, number_++) : now; }

 private:
  bool open_;
  Schedule schedule_;
  uint64_t index_;
  uint64_t number_ = 0;
};

Task<io::Result<void>> Send(io::Connection& connection, Pattern pattern, uint64_t size,
                            StopToken stop) {
  for (uint64_t sent = 0; sent < size;) {
    const size_t piece = std::min<uint64_t>(size - sent, Pattern::kPieceMax);
    CO_TRY_VOID(co_await connection.Write(pattern.At(sent, piece), stop));
    sent += piece;
  }
  co_return io::Result<void>();
}

Task<io::Result<std::string>> Exchange(Member& member, const Plan& plan, size_t index, Flow& flow,
                                       StopToken stop) {
  const ClientOptions& options = plan.options;
  io::ConnectOptions connect{.to = options.server};
  CO_TRY(const auto connection,
         co_await member.network.Connect(member.loop, std::move(connect), stop));
  const Order order{.kind = OrderKind::kExchange,
                    .seed = static_cast<uint32_t>(index * 2),
                    .request_bytes = options.request_bytes,
                    .response_bytes = options.response_bytes};
  const auto head = Encode(order);
  CO_TRY_VOID(co_await connection->Write(head, stop));
  Inlet inlet(*connection);
  Pace pace(plan, index);
  const size_t samples_max = kSamplesMax / options.flows;
  for (MonotonicTime due = pace.Next(member.loop.Now()); due < plan.end;
       due = pace.Next(member.loop.Now())) {
    const absl::Duration early = due - member.loop.Now();
    if (early > absl::ZeroDuration() && !co_await member.loop.Sleep(early, stop)) co_return "hung";
    CO_TRY_VOID(co_await Send(*connection, Pattern(order.seed), order.request_bytes, stop));
    CO_TRY(const bool same,
           co_await inlet.Checked(Pattern(order.seed + 1), order.response_bytes, stop));
    if (!same) co_return "other bytes came than were sent";
    if (!plan.Counts(due)) continue;
    if (flow.samples.size() == samples_max) co_return "more samples than a run may keep";
    flow.samples.push_back(absl::ToInt64Nanoseconds(member.loop.Now() - due));
    flow.operations.fetch_add(1, std::memory_order_relaxed);
  }
  CO_TRY_VOID(co_await connection->ShutdownWrite(stop));
  CO_TRY(const auto rest, co_await inlet.Some(1, stop));
  co_return rest.empty() ? "" : "the server sent more than was asked for";
}

}  // namespace

Task<void> RunExchanges(Member& member, const Plan& plan, size_t index, Flow& flow,
                        StopToken stop) {
  const auto done = co_await Exchange(member, plan, index, flow, stop);
  flow.error = done ? *done : done.error().ToString();
}

}  // namespace heddle::bench
