#include "lib/base/frame_allocator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "lib/base/check.h"

namespace heddle {
namespace {

constexpr size_t kClassStep = 16;  // What malloc rounds to: an idle connection has eight frames.
constexpr size_t kClassMax = 4096;
constexpr size_t kClasses = kClassMax / kClassStep;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEDDLE_PLAIN_FRAMES 1
#endif
#endif

struct FreeFrameNode {
  FreeFrameNode* next;
};

// Frames of one size that are not in use.
struct FreeFrames {
  FreeFrameNode* first = nullptr;
  size_t count = 0;
  size_t unneeded = 0;  // The least that `count` was since the last trim.
};

struct ThreadFrames {
  std::array<FreeFrames, kClasses> free{};
  FrameStats stats;

  ~ThreadFrames() {
    Trim();
    Trim();
  }

  size_t Trim() {
    size_t bytes = 0;
    for (size_t i = 0; i < kClasses; ++i) {
      FreeFrames& frames = free[i];
      for (; frames.unneeded > 0; --frames.unneeded, --frames.count) {
        FreeFrameNode* node = std::exchange(frames.first, frames.first->next);
        std::free(node);
        bytes += (i + 1) * kClassStep;
      }
      frames.unneeded = frames.count;
    }
    stats.free_bytes -= bytes;
    return bytes;
  }
};

thread_local ThreadFrames thread_frames;

size_t Rounded(size_t size) { return (size + kClassStep - 1) / kClassStep * kClassStep; }

}  // namespace

void* AllocateFrame(size_t size) {
  const size_t rounded = Rounded(size);
  ThreadFrames& frames = thread_frames;
  ++frames.stats.allocated_total;
  ++frames.stats.live;
  frames.stats.live_bytes += rounded;
#ifndef HEDDLE_PLAIN_FRAMES
  if (rounded <= kClassMax) {
    FreeFrames& free = frames.free[rounded / kClassStep - 1];
    if (free.first != nullptr) {
      --free.count;
      free.unneeded = std::min(free.unneeded, free.count);
      frames.stats.free_bytes -= rounded;
      return std::exchange(free.first, free.first->next);
    }
  }
#endif
  void* memory = std::malloc(rounded);
  CHECK(memory != nullptr);
  return memory;
}

void FreeFrame(void* frame, size_t size) noexcept {
  const size_t rounded = Rounded(size);
  ThreadFrames& frames = thread_frames;
  --frames.stats.live;
  frames.stats.live_bytes -= rounded;
#ifndef HEDDLE_PLAIN_FRAMES
  if (rounded <= kClassMax) {
    FreeFrames& free = frames.free[rounded / kClassStep - 1];
    free.first = new (frame) FreeFrameNode{free.first};
    ++free.count;
    frames.stats.free_bytes += rounded;
    return;
  }
#endif
  std::free(frame);
}

FrameStats ThreadFrameStats() { return thread_frames.stats; }

size_t TrimFrames() { return thread_frames.Trim(); }

}  // namespace heddle
