#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/intrusive_list.h"

namespace heddle {

// Memory of one thread for frames of which there are many: slabs of frames of one size, so that the frames of a burst
// (or of the relays that have been parked) leave whole pages, and not holes between what is still in use.
//
//     region:  | slab of 288 B frames | slab of 912 B | dropped | ...     slabs, of which the region grows at its end
//     slab:    | header | frame | frame | ... |
//
// An empty slab is kept for the next burst; more than kEmptyMax, and those that a Trim() finds not needed since the
// last one, give their pages back to the kernel and keep their address.
class FrameSlabs {
 public:
  static constexpr size_t kStep = 16;  // What malloc rounds to.
  static constexpr size_t kFrameMax = 4096;
  static constexpr size_t kSlabBytes = 32 * 1024;
  static constexpr size_t kRegionBytes = 1u << 30;  // Of addresses: as much memory as is used.
  static constexpr size_t kEmptyMax = 16;

  FrameSlabs() = default;
  ~FrameSlabs();
  FrameSlabs(const FrameSlabs&) = delete;
  FrameSlabs& operator=(const FrameSlabs&) = delete;

  // `size` is a multiple of kStep, up to kFrameMax. Null when there is no room, or no region to be had.
  void* Allocate(size_t size);
  bool Owns(const void* frame) const {
    const auto offset = reinterpret_cast<uintptr_t>(frame) - reinterpret_cast<uintptr_t>(region_);
    return region_ != nullptr && offset < kRegionBytes;
  }
  void Free(void* frame);
  // Bytes of empty slabs that have pages.
  size_t empty_bytes() const { return empties_ * kSlabBytes; }
  // Returns the bytes given back to the kernel since the last call: of slabs what had been used of them.
  size_t Trim();

 private:
  struct FreeFrame {
    FreeFrame* next;
  };
  struct Slab : ListNode {
    uint32_t frame_bytes = 0;
    uint32_t live = 0;
    uint32_t used_bytes = 0;  // Frames beyond this have never been given out.
    uint32_t touched_bytes = 0;  // The most of it since its memory has pages.
    FreeFrame* free = nullptr;
  };
  static constexpr size_t kHeaderBytes = 64;
  static_assert(sizeof(Slab) <= kHeaderBytes);

  Slab* MakeSlab(size_t size);
  void* NextAddress();
  void DropEmpty();

  uint8_t* region_ = nullptr;
  bool refused_ = false;    // The kernel gives no region.
  size_t region_used_ = 0;  // Bytes of it that have been slabs.
  size_t region_open_ = 0;  // Bytes of it that may be used.
  std::array<IntrusiveList<Slab>, kFrameMax / kStep> roomy_;  // Slabs with live and with free frames.
  IntrusiveList<Slab> empty_;
  size_t empties_ = 0;
  size_t empties_unneeded_ = 0;  // The least that there were since the last Trim().
  std::vector<uint8_t*> dropped_;
  size_t given_back_ = 0;
};

}  // namespace heddle
