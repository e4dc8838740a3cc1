#include "bench/load/service.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "bench/load/inlet.h"
#include "bench/load/wire.h"

namespace heddle::bench {
namespace {

constexpr size_t kHttpBodyBytes = 1024;
// Longer than any request of wrk or h2load: a head that does not end by then is not theirs.
constexpr size_t kHttpHeadMax = 16 * 1024;
// What a server of bulk writes at once.
constexpr size_t kWriteMax = 256 * 1024;
static_assert(kWriteMax <= Pattern::kPieceMax);

io::Error Broken() { return io::Error::Io(io::IoCode::kUnexpectedEof, io::Op::kRead); }

Task<io::Result<void>> ServeUp(io::Connection& connection, Inlet& inlet, Order order,
                               StopToken stop) {
  const Pattern pattern(order.seed);
  Receipt receipt{.bytes = 0, .intact = true};
  while (true) {
    CO_TRY(const auto bytes, co_await inlet.Some(io::BufferPool::kBulkMax, stop));
    if (bytes.empty()) break;
    receipt.intact = receipt.intact && pattern.Matches(receipt.bytes, bytes);
    receipt.bytes += bytes.size();
  }
  const auto answer = Encode(receipt);
  CO_TRY_VOID(co_await connection.Write(answer, stop));
  co_return co_await connection.ShutdownWrite(stop);
}

Task<io::Result<void>> ServeDown(io::Connection& connection, Inlet& inlet, Order order,
                                 StopToken stop) {
  const Pattern pattern(order.seed);
  uint64_t sent = 0;
  std::array<uint8_t, 8> number;
  while (true) {
    // The end is allowed between two numbers only.
    CO_TRY(const auto first, co_await inlet.Some(1, stop));
    if (first.empty()) co_return co_await connection.ShutdownWrite(stop);
    number[0] = first[0];
    CO_TRY_VOID(co_await inlet.Exactly(std::span(number).subspan(1), stop));
    for (uint64_t left = ParseNumber(number); left > 0;) {
      const size_t size = std::min<uint64_t>(left, kWriteMax);
      CO_TRY_VOID(co_await connection.Write(pattern.At(sent, size), stop));
      sent += size;
      left -= size;
    }
  }
}

Task<io::Result<void>> ServeExchange(io::Connection& connection, Inlet& inlet, Order order,
                                     StopToken stop) {
  const Pattern pattern(order.seed);
  const Pattern answer(order.seed + 1);
  while (true) {
    CO_TRY(const auto bytes, co_await inlet.Some(order.request_bytes, stop));
    if (bytes.empty()) co_return co_await connection.ShutdownWrite(stop);
    uint64_t got = bytes.size();
    bool same = pattern.Matches(0, bytes);
    while (got < order.request_bytes) {
      CO_TRY(const auto more, co_await inlet.Some(order.request_bytes - got, stop));
      if (more.empty()) co_return std::unexpected(Broken());
      same = same && pattern.Matches(got, more);
      got += more.size();
    }
    if (!same) co_return std::unexpected(Broken());
    for (uint64_t sent = 0; sent < order.response_bytes;) {
      const size_t size = std::min<uint64_t>(order.response_bytes - sent, kWriteMax);
      CO_TRY_VOID(co_await connection.Write(answer.At(sent, size), stop));
      sent += size;
    }
  }
}

Task<io::Result<void>> ServePing(io::Connection& connection, StopToken stop) {
  const std::array<uint8_t, 1> answer = {kPing};
  CO_TRY_VOID(co_await connection.Write(answer, stop));
  co_return co_await connection.ShutdownWrite(stop);
}

std::string HttpAnswer() {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
         std::to_string(kHttpBodyBytes) + "\r\n\r\n" + std::string(kHttpBodyBytes, 'h');
}

// Requests without a body, as load generators send them.
Task<io::Result<void>> ServeHttp(io::Connection& connection, Inlet& inlet, StopToken stop) {
  static const std::string answer = HttpAnswer();
  const std::span<const uint8_t> answer_bytes(reinterpret_cast<const uint8_t*>(answer.data()),
                                              answer.size());
  std::string head(1, static_cast<char>(kHttp));
  while (head.size() < kHttpHeadMax) {
    CO_TRY(const auto bytes, co_await inlet.Some(kHttpHeadMax, stop));
    if (bytes.empty()) co_return co_await connection.ShutdownWrite(stop);
    head.append(bytes.begin(), bytes.end());
    for (size_t end = head.find("\r\n\r\n"); end != std::string::npos;
         end = head.find("\r\n\r\n")) {
      head.erase(0, end + 4);
      CO_TRY_VOID(co_await connection.Write(answer_bytes, stop));
    }
  }
  co_return std::unexpected(Broken());
}

Task<io::Result<void>> ServeByFirstByte(io::Connection& connection, StopToken stop) {
  Inlet inlet(connection);
  std::array<uint8_t, kOrderBytes> head{};
  CO_TRY_VOID(co_await inlet.Exactly(std::span(head).first(1), stop));
  if (head[0] == kPing) co_return co_await ServePing(connection, stop);
  if (head[0] == kHttp) co_return co_await ServeHttp(connection, inlet, stop);
  CO_TRY_VOID(co_await inlet.Exactly(std::span(head).subspan(1), stop));
  const auto order = ParseOrder(head);
  if (!order) co_return std::unexpected(Broken());
  switch (order->kind) {
    case OrderKind::kUp: co_return co_await ServeUp(connection, inlet, *order, stop);
    case OrderKind::kDown: co_return co_await ServeDown(connection, inlet, *order, stop);
    case OrderKind::kExchange: co_return co_await ServeExchange(connection, inlet, *order, stop);
  }
  co_return std::unexpected(Broken());
}

}  // namespace

Task<void> Serve(Member& member, std::unique_ptr<io::Connection> connection) {
  const auto served = co_await ServeByFirstByte(*connection, member.scope.stop());
  // The client sees that it did not get what it asked for; it reports, the server has nobody to tell.
  if (!served) connection->Reset();
}

}  // namespace heddle::bench
