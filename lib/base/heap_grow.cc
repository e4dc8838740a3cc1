#include "lib/base/heap_grow.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "lib/base/heap_trim.h"

namespace heddle {
namespace {

constexpr size_t kPieceBytes = 100'000;  // Smaller than what malloc maps by itself.
constexpr size_t kPiecesMax = 600;       // glibc has 64 MiB in one piece; of more nothing would stay.

// free() of a block of 64 KiB looks whether the heap can shrink, and would give back what was touched.
constexpr size_t kTouchedMax = size_t{48} << 10;
constexpr uintptr_t kPageBytes = 4096;  // Of a larger one some are touched twice.

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

void TouchHeap(size_t bytes) {
  bytes = std::min(bytes, kTouchedMax);
  void* block = std::malloc(bytes);
  if (block == nullptr) return;
  const auto at = reinterpret_cast<uintptr_t>(block);
  const uintptr_t end = (at + bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const uint64_t trims = HeapTrimsTotal();
  const uintptr_t first = at / kPageBytes * kPageBytes;
  const bool follows = touched.trims == trims && first >= touched.begin && first <= touched.end;
  if (!follows) touched = {.begin = first, .end = first, .trims = trims};
  if (end > touched.end) {
    ::madvise(reinterpret_cast<void*>(touched.end), end - touched.end, MADV_POPULATE_WRITE);
    touched.end = end;
  }
  std::free(block);
}

}  // namespace heddle
