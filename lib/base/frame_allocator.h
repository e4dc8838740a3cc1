#pragma once

#include <cstddef>
#include <cstdint>

namespace heddle {

// Under sanitizers every frame is a malloc of its own, so that use after destruction is seen.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEDDLE_PLAIN_FRAMES 1
#endif
#endif
#ifdef HEDDLE_PLAIN_FRAMES
inline constexpr bool kPlainFrames = true;
#undef HEDDLE_PLAIN_FRAMES
#else
inline constexpr bool kPlainFrames = false;
#endif

// Memory of coroutine frames: short per-thread lists by size class (16 B steps up to 4 KiB; larger ones: malloc), with
// FrameSlabs behind them. A frame is freed on its thread, which holds because a coroutine lives and dies on one loop.
struct FrameStats {
  uint64_t allocated_total = 0;  // Frames ever allocated on this thread.
  uint64_t live = 0;             // Frames alive now.
  uint64_t live_bytes = 0;       // Their bytes, rounded up to the size class.
  uint64_t free_bytes = 0;       // Kept for the next ones.
};

void* AllocateFrame(size_t size);
// In slabs of their own: for what lives as long as a connection and of which there is much. Beside frames of equal size
// that are soon gone, each would keep a slab of those.
void* AllocateLongLivedFrame(size_t size);
void FreeFrame(void* frame, size_t size) noexcept;

// Counters of the calling thread.
FrameStats ThreadFrameStats();

// Frees the calling thread's frames that were not needed since the last call; returns the bytes freed since then.
// A thread that goes on as before allocates none anew.
size_t TrimFrames();

}  // namespace heddle
