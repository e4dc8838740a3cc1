#include <benchmark/benchmark.h>

#include <vector>

#include "agent/proxy/relay.h"
#include "lib/base/scope.h"
#include "lib/io/testing/pipe.h"

// What the relay itself costs, between two streams in memory: no system call, no cryptography.
namespace heddle::agent {
namespace {

struct Between {
  explicit Between(io::Loop& loop)
      : near(io::MakePipe(loop, {.capacity = 256 * 1024})),
        beyond(io::MakePipe(loop, {.capacity = 256 * 1024})) {}
  io::Pipe near, beyond;
  RelayBytes bytes;
};

Task<void> Carry(io::Loop& loop, Between& between, StopToken stop) {
  (void)co_await Relay(loop, *between.near.second, *between.beyond.first, between.bytes, stop);
}

// True when so many bytes have come.
Task<bool> Take(io::Stream& stream, size_t size) {
  while (size > 0) {
    const auto block = co_await stream.Read(64 * 1024, {});
    if (!block || block->empty() || block->size() > size) co_return false;
    size -= block->size();
  }
  co_return true;
}

Task<void> MoveBytes(io::Loop& loop, benchmark::State& bench) {
  const std::vector<uint8_t> message(static_cast<size_t>(bench.range(0)), 'x');
  Between between(loop);
  Scope scope(loop);
  scope.Spawn(Carry(loop, between, scope.stop()));
  for (auto _ : bench) {
    const auto written = co_await between.near.first->Write(message, {});
    const bool taken = co_await Take(*between.beyond.second, message.size());
    if (!written || !taken) bench.SkipWithError("bytes were lost");
  }
  co_await scope.Drain();
}

void BM_Relay(benchmark::State& bench) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  loop.RunUntilDone(MoveBytes(loop, bench));
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_Relay)->Arg(1)->Arg(1024)->Arg(64 * 1024)->Arg(256 * 1024);

}  // namespace
}  // namespace heddle::agent
