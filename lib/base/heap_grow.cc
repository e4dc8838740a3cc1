#include "lib/base/heap_grow.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace heddle {
namespace {

constexpr size_t kPieceBytes = 100'000;  // Smaller than what malloc maps by itself.
constexpr size_t kPiecesMax = 600;       // glibc has 64 MiB in one piece; of more nothing would stay.

}  // namespace

void GrowHeap(size_t bytes) {
  std::array<void*, kPiecesMax> pieces;
  const size_t count = std::min(bytes / kPieceBytes, kPiecesMax);
  for (size_t i = 0; i < count; ++i) pieces[i] = std::malloc(kPieceBytes);
  for (size_t i = 0; i < count; ++i) std::free(pieces[i]);
}

}  // namespace heddle
