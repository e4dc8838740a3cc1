#include "lib/base/frame_allocator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/frame_slabs.h"

namespace heddle {
namespace {

constexpr size_t kClassStep = FrameSlabs::kStep;
constexpr size_t kClassMax = FrameSlabs::kFrameMax;
constexpr size_t kClasses = kClassMax / kClassStep;

// Frames of one size that malloc gives, before there is a slab of them: most sizes never have as many, and a slab that
// is nearly empty takes a page.
constexpr size_t kMallocFramesMax = 16;
// Frames of one size that wait in the list for the next ones; more of them would keep slabs from getting empty.
constexpr size_t kFreeFramesMax = 32;

struct FreeFrameNode {
  FreeFrameNode* next;
};

// Frames of one size that are not in use.
struct FreeFrames {
  FreeFrameNode* first = nullptr;
  size_t count = 0;
  size_t unneeded = 0;  // The least that `count` was since the last trim.
  size_t of_malloc = 0;  // In use or free.
};

struct ThreadFrames {
  std::array<FreeFrames, kClasses> free{};
  FrameSlabs slabs;
  FrameSlabs long_lived;  // Without lists before them: a frame that is freed makes its slab emptier at once.
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
        bytes += (i + 1) * kClassStep;
        Release(frames, node);
      }
      frames.unneeded = frames.count;
    }
    stats.free_bytes -= bytes;
    return bytes + slabs.Trim() + long_lived.Trim();
  }

  void* Obtain(FreeFrames& frames, size_t size) {
    if (frames.of_malloc >= kMallocFramesMax) {
      if (void* frame = slabs.Allocate(size)) return frame;
    }
    ++frames.of_malloc;
    return std::malloc(size);
  }
  void Release(FreeFrames& frames, void* frame) {
    if (slabs.Owns(frame)) return slabs.Free(frame);
    --frames.of_malloc;
    std::free(frame);
  }
};

thread_local ThreadFrames thread_frames;

size_t Rounded(size_t size) { return (size + kClassStep - 1) / kClassStep * kClassStep; }

void* Allocate(size_t size, bool lives_long) {
  const size_t rounded = Rounded(size);
  ThreadFrames& frames = thread_frames;
  ++frames.stats.allocated_total;
  ++frames.stats.live;
  frames.stats.live_bytes += rounded;
  if (!kPlainFrames && rounded <= kClassMax) {
    if (lives_long) {
      if (void* frame = frames.long_lived.Allocate(rounded)) return frame;
    }
    FreeFrames& free = frames.free[rounded / kClassStep - 1];
    if (free.first != nullptr) {
      --free.count;
      free.unneeded = std::min(free.unneeded, free.count);
      frames.stats.free_bytes -= rounded;
      return std::exchange(free.first, free.first->next);
    }
    void* frame = frames.Obtain(free, rounded);
    CHECK(frame != nullptr);
    return frame;
  }
  void* memory = std::malloc(rounded);
  CHECK(memory != nullptr);
  return memory;
}

}  // namespace

void* AllocateFrame(size_t size) { return Allocate(size, false); }

void* AllocateLongLivedFrame(size_t size) { return Allocate(size, true); }

void FreeFrame(void* frame, size_t size) noexcept {
  const size_t rounded = Rounded(size);
  ThreadFrames& frames = thread_frames;
  --frames.stats.live;
  frames.stats.live_bytes -= rounded;
  if (!kPlainFrames && rounded <= kClassMax) {
    if (frames.long_lived.Owns(frame)) return frames.long_lived.Free(frame);
    FreeFrames& free = frames.free[rounded / kClassStep - 1];
    if (free.count >= kFreeFramesMax) return frames.Release(free, frame);
    free.first = new (frame) FreeFrameNode{free.first};
    ++free.count;
    frames.stats.free_bytes += rounded;
    return;
  }
  std::free(frame);
}

FrameStats ThreadFrameStats() {
  FrameStats stats = thread_frames.stats;
  stats.free_bytes += thread_frames.slabs.empty_bytes() + thread_frames.long_lived.empty_bytes();
  return stats;
}

size_t TrimFrames() { return thread_frames.Trim(); }

}  // namespace heddle
