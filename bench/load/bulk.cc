#include <algorithm>

#include "bench/load/client.h"
#include "bench/load/inlet.h"
#include "bench/load/wire.h"

namespace heddle::bench {
namespace {

// What all flows together have asked for and not got yet, at most about: it still has to come when the time is over. A
// flow asks for two chunks ahead, so that the server never waits for the next.
constexpr uint64_t kAheadBytes = 64u << 20;
constexpr uint64_t kChunkMin = 256u << 10;
constexpr uint64_t kChunkMax = 16u << 20;

uint64_t ChunkBytes(uint64_t flows) {
  return std::clamp(kAheadBytes / (2 * flows), kChunkMin, kChunkMax);
}

Task<io::Result<std::string>> Up(Member& member, const Plan& plan, size_t index, Flow& flow,
                                 StopToken stop) {
  io::ConnectOptions options{.to = plan.options.server};
  CO_TRY(const auto connection,
         co_await member.network.Connect(member.loop, std::move(options), stop));
  const Order order{.kind = OrderKind::kUp, .seed = static_cast<uint32_t>(index)};
  const auto head = Encode(order);
  CO_TRY_VOID(co_await connection->Write(head, stop));
  const Pattern pattern(order.seed);
  uint64_t sent = 0;
  while (member.loop.Now() < plan.end) {
    CO_TRY_VOID(co_await connection->Write(pattern.At(sent, plan.options.write_bytes), stop));
    sent += plan.options.write_bytes;
    flow.bytes.store(sent, std::memory_order_relaxed);
  }
  CO_TRY_VOID(co_await connection->ShutdownWrite(stop));
  Inlet inlet(*connection);
  std::array<uint8_t, kReceiptBytes> answer;
  CO_TRY_VOID(co_await inlet.Exactly(answer, stop));
  const auto receipt = ParseReceipt(answer);
  if (!receipt) co_return "the server's receipt is garbage";
  if (receipt->bytes != sent) co_return "the server got another number of bytes";
  if (!receipt->intact) co_return "the server got other bytes";
  co_return std::string();
}

Task<io::Result<std::string>> Down(Member& member, const Plan& plan, size_t index, Flow& flow,
                                   StopToken stop) {
  io::ConnectOptions options{.to = plan.options.server};
  CO_TRY(const auto connection,
         co_await member.network.Connect(member.loop, std::move(options), stop));
  const Order order{.kind = OrderKind::kDown, .seed = static_cast<uint32_t>(index)};
  const auto head = Encode(order);
  const uint64_t chunk_bytes = ChunkBytes(plan.options.flows);
  const auto chunk = EncodeNumber(chunk_bytes);
  CO_TRY_VOID(co_await connection->Write(head, stop));
  CO_TRY_VOID(co_await connection->Write(chunk, stop));
  const Pattern pattern(order.seed);
  Inlet inlet(*connection);
  uint64_t asked = chunk_bytes;
  uint64_t received = 0;
  while (received < asked) {
    if (asked - received <= chunk_bytes && member.loop.Now() < plan.end) {
      CO_TRY_VOID(co_await connection->Write(chunk, stop));
      asked += chunk_bytes;
    }
    CO_TRY(const auto bytes, co_await inlet.Some(io::BufferPool::kBulkMax, stop));
    if (bytes.empty()) co_return "the server ended before it had sent all";
    if (!pattern.Matches(received, bytes)) co_return "other bytes came than were sent";
    received += bytes.size();
    flow.bytes.store(received, std::memory_order_relaxed);
  }
  CO_TRY_VOID(co_await connection->ShutdownWrite(stop));
  CO_TRY(const auto rest, co_await inlet.Some(1, stop));
  co_return rest.empty() ? "" : "the server sent more than was asked for";
}

}  // namespace

Task<void> RunBulkUp(Member& member, const Plan& plan, size_t index, Flow& flow, StopToken stop) {
  const auto done = co_await Up(member, plan, index, flow, stop);
  flow.error = done ? *done : done.error().ToString();
}

Task<void> RunBulkDown(Member& member, const Plan& plan, size_t index, Flow& flow, StopToken stop) {
  const auto done = co_await Down(member, plan, index, flow, stop);
  flow.error = done ? *done : done.error().ToString();
}

}  // namespace heddle::bench
