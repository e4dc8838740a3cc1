#include "lib/base/heap_grow.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

#include "lib/base/heap_trim.h"

namespace heddle {
namespace {

constexpr size_t kPieceBytes = 100'000;  // Smaller than what malloc maps by itself.
constexpr size_t kPiecesMax = 600;       // glibc has 64 MiB in one piece; of more nothing would stay.

// free() gives back what lies more than 128 KiB above a heap's last block: so little stays.
constexpr size_t kTouchedMax = size_t{48} << 10;

// Of one of the thread's heaps, the one it grows in; and after how many trims.
struct Touched {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  uint64_t trims = 0;
};

thread_local Touched touched;

}  // namespace

void GrowHeap(size_t bytes) {
  std::array<void*, kPiecesMax> pieces;
  const size_t count = std::min(bytes / kPieceBytes, kPiecesMax);
  for (size_t i = 0; i < count; ++i) pieces[i] = std::malloc(kPieceBytes);
  for (size_t i = 0; i < count; ++i) std::free(pieces[i]);
}

size_t TouchHeap(size_t bytes) {
  static const auto kPage = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  bytes = std::min(bytes, kTouchedMax);
  const std::unique_ptr<void, decltype(&std::free)> block(std::malloc(bytes), &std::free);
  if (block == nullptr) return 0;
  const auto at = reinterpret_cast<uintptr_t>(block.get());
  const uint64_t trims = HeapTrimsTotal();
  const uintptr_t first = at / kPage * kPage;
  const uintptr_t end = (at + bytes + kPage - 1) / kPage * kPage;
  const bool follows = touched.trims == trims && first >= touched.begin && first <= touched.end;
  if (!follows) touched = {.begin = first, .end = first, .trims = trims};
  if (end <= touched.end) return 0;
  const uintptr_t begin = std::exchange(touched.end, end);
  // Kernels older than 5.14 refuse, and nothing is touched.
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
  return end - begin;
}

}  // namespace heddle
