#include <benchmark/benchmark.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/unique_fd.h"

// What the machine can do without us: the constants of the limits that results are held against.
namespace heddle::bench {
namespace {

UniqueFd Listen(sockaddr_in& address) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  address = {
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(::bind(listener.get(), generic, size) == 0 && ::listen(listener.get(), 16) == 0);
  CHECK(::getsockname(listener.get(), generic, &size) == 0);
  return listener;
}

UniqueFd Connect(const sockaddr_in& address) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return socket;
}

// Two blocks that no cache of the second level holds together.
void BM_Copy64KiB(benchmark::State& bench) {
  constexpr size_t kBlock = 64 * 1024;
  constexpr size_t kBlocks = 64;
  std::vector<uint8_t> from(kBlock * kBlocks, 'x');
  std::vector<uint8_t> to(kBlock * kBlocks);
  benchmark::DoNotOptimize(from.data());
  benchmark::DoNotOptimize(to.data());
  size_t next = 0;
  for (auto _ : bench) {
    std::memcpy(&to[next * kBlock], &from[next * kBlock], kBlock);
    benchmark::ClobberMemory();
    next = (next + 1) % kBlocks;
  }
  bench.SetBytesProcessed(bench.iterations() * static_cast<int64_t>(kBlock));
}
BENCHMARK(BM_Copy64KiB);

void BM_SystemCall(benchmark::State& bench) {
  for (auto _ : bench) benchmark::DoNotOptimize(::syscall(SYS_getppid));
}
BENCHMARK(BM_SystemCall);

// A request that does nothing, submitted and reaped by one io_uring_enter.
void BM_RingNop(benchmark::State& bench) {
  io_uring ring;
  if (io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) != 0) {
    bench.SkipWithError("there is no io_uring here");
    return;
  }
  for (auto _ : bench) {
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    CHECK(io_uring_submit_and_wait(&ring, 1) == 1);
    io_uring_cq_advance(&ring, 1);
  }
  io_uring_queue_exit(&ring);
}
BENCHMARK(BM_RingNop);

// A send and a receive on loopback, the whole way through the stack and no wake-up: one thread does both.
void BM_SendAndReceive(benchmark::State& bench) {
  sockaddr_in address;
  const UniqueFd listener = Listen(address);
  const UniqueFd client = Connect(address);
  const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::vector<uint8_t> bytes(static_cast<size_t>(bench.range(0)), 'x');
  for (auto _ : bench) {
    CHECK(std::cmp_equal(::send(client.get(), bytes.data(), bytes.size(), 0), bytes.size()));
    CHECK(std::cmp_equal(::recv(server.get(), bytes.data(), bytes.size(), MSG_WAITALL),
                         bytes.size()));
  }
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_SendAndReceive)->Arg(1)->Arg(1024)->Arg(16 * 1024)->Arg(64 * 1024);

// Reset at the end: no TIME_WAIT, so that ports last.
void BM_ConnectAcceptClose(benchmark::State& bench) {
  sockaddr_in address;
  const UniqueFd listener = Listen(address);
  const linger reset{.l_onoff = 1, .l_linger = 0};
  for (auto _ : bench) {
    const UniqueFd client = Connect(address);
    const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
}
BENCHMARK(BM_ConnectAcceptClose);

}  // namespace
}  // namespace heddle::bench
