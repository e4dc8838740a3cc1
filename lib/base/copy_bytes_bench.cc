#include "lib/base/copy_bytes.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace heddle {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBlock = 120 * 1024;

struct Freed {
  void operator()(void* block) const { std::free(block); }
};
using Block = std::unique_ptr<uint8_t, Freed>;

Block MakeBlock() {
  Block block(static_cast<uint8_t*>(std::aligned_alloc(kPage, kBlock + kPage)));
  std::memset(block.get(), 1, kBlock + kPage);
  return block;
}

// A block's bytes to so many bytes after the beginning of a page: 9 is a DATA frame's payload.
void BM_CopyBytes(benchmark::State& bench) {
  const Block from = MakeBlock();
  const Block to = MakeBlock();
  benchmark::DoNotOptimize(from.get());
  benchmark::DoNotOptimize(to.get());
  for (auto _ : bench) {
    CopyBytes({from.get(), kBlock}, to.get() + bench.range(0));
    benchmark::ClobberMemory();
  }
  bench.SetBytesProcessed(bench.iterations() * static_cast<int64_t>(kBlock));
}
BENCHMARK(BM_CopyBytes)->Arg(0)->Arg(9)->Arg(64);

// The same by memcpy alone.
void BM_Memcpy(benchmark::State& bench) {
  const Block from = MakeBlock();
  const Block to = MakeBlock();
  benchmark::DoNotOptimize(from.get());
  benchmark::DoNotOptimize(to.get());
  for (auto _ : bench) {
    std::memcpy(to.get() + bench.range(0), from.get(), kBlock);
    benchmark::ClobberMemory();
  }
  bench.SetBytesProcessed(bench.iterations() * static_cast<int64_t>(kBlock));
}
BENCHMARK(BM_Memcpy)->Arg(0)->Arg(9)->Arg(64);

}  // namespace
}  // namespace heddle
