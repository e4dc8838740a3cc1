#include "lib/base/frame_allocator.h"

#include <array>
#include <cstdlib>

#include "lib/base/check.h"

namespace heddle {
namespace {

constexpr size_t kClassStep = 64;
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

struct ThreadFrames {
  std::array<FreeFrameNode*, kClasses> free{};
  FrameStats stats;

  ~ThreadFrames() { Trim(); }

  size_t Trim() {
    size_t bytes = 0;
    for (size_t i = 0; i < kClasses; ++i) {
      while (FreeFrameNode* node = free[i]) {
        free[i] = node->next;
        std::free(node);
        bytes += (i + 1) * kClassStep;
      }
    }
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
    FreeFrameNode*& head = frames.free[rounded / kClassStep - 1];
    if (head != nullptr) {
      FreeFrameNode* node = head;
      head = node->next;
      return node;
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
    FreeFrameNode*& head = frames.free[rounded / kClassStep - 1];
    head = new (frame) FreeFrameNode{head};
    return;
  }
#endif
  std::free(frame);
}

FrameStats ThreadFrameStats() { return thread_frames.stats; }

size_t TrimFrames() { return thread_frames.Trim(); }

}  // namespace heddle
