#include "lib/base/frame_slabs.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

namespace heddle {
namespace {

constexpr size_t kOpenBytes = 1u << 20;  // The region is made usable in pieces of this size.

}  // namespace

FrameSlabs::~FrameSlabs() {
  bool live = false;
  for (auto& slabs : roomy_) {
    live = live || !slabs.empty();
    while (!slabs.empty()) (void)slabs.PopFront();
  }
  while (!empty_.empty()) (void)empty_.PopFront();
  // Full slabs are in no list: count what is left.
  live = live || empties_ + dropped_.size() < region_used_ / kSlabBytes;
  if (region_ != nullptr && !live) ::munmap(region_, kRegionBytes);
}

void* FrameSlabs::Allocate(size_t size) {
  IntrusiveList<Slab>& roomy = roomy_[size / kStep - 1];
  if (roomy.empty()) {
    Slab* made = MakeSlab(size);
    if (made == nullptr) return nullptr;
    roomy.PushBack(*made);
  }
  Slab& slab = roomy.front();
  ++slab.live;
  void* frame = slab.free;
  if (frame != nullptr) {
    slab.free = slab.free->next;
  } else {
    frame = reinterpret_cast<uint8_t*>(&slab) + slab.used_bytes;
    slab.used_bytes += slab.frame_bytes;
    slab.touched_bytes = std::max(slab.touched_bytes, slab.used_bytes);
  }
  if (slab.free == nullptr && slab.used_bytes + slab.frame_bytes > kSlabBytes) slab.Unlink();
  return frame;
}

void FrameSlabs::Free(void* frame) {
  const size_t offset = static_cast<size_t>(static_cast<uint8_t*>(frame) - region_);
  Slab& slab = *reinterpret_cast<Slab*>(region_ + offset / kSlabBytes * kSlabBytes);
  slab.free = new (frame) FreeFrame{slab.free};
  if (--slab.live > 0) {
    if (!slab.linked()) roomy_[slab.frame_bytes / kStep - 1].PushBack(slab);
    return;
  }
  slab.Unlink();
  empty_.PushBack(slab);
  if (++empties_ > kEmptyMax) DropEmpty();
}

size_t FrameSlabs::Trim() {
  for (; empties_unneeded_ > 0; --empties_unneeded_) DropEmpty();
  empties_unneeded_ = empties_;
  return std::exchange(given_back_, 0);
}

void FrameSlabs::DropEmpty() {
  Slab& empty = empty_.PopFront();
  --empties_;
  given_back_ += empty.touched_bytes;
  auto* slab = reinterpret_cast<uint8_t*>(&empty);
  dropped_.push_back(slab);
  ::madvise(slab, kSlabBytes, MADV_DONTNEED);
}

FrameSlabs::Slab* FrameSlabs::MakeSlab(size_t size) {
  void* address = nullptr;
  uint32_t touched_bytes = kHeaderBytes;
  if (!empty_.empty()) {
    Slab& empty = empty_.PopFront();
    touched_bytes = empty.touched_bytes;
    address = &empty;
    --empties_;
    empties_unneeded_ = std::min(empties_unneeded_, empties_);
  } else {
    address = NextAddress();
  }
  if (address == nullptr) return nullptr;
  auto* slab = new (address) Slab;
  slab->frame_bytes = static_cast<uint32_t>(size);
  slab->used_bytes = kHeaderBytes;
  slab->touched_bytes = touched_bytes;
  return slab;
}

// Of a slab without pages.
void* FrameSlabs::NextAddress() {
  if (!dropped_.empty()) {
    uint8_t* slab = dropped_.back();
    dropped_.pop_back();
    return slab;
  }
  if (region_ == nullptr && !refused_) {
    // Addresses only: pages that nobody may touch are not counted against any limit of memory.
    void* region = ::mmap(nullptr, kRegionBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    refused_ = region == MAP_FAILED;
    if (!refused_) {
      region_ = static_cast<uint8_t*>(region);
      ::madvise(region_, kRegionBytes, MADV_NOHUGEPAGE);  // A page that is given back must not be part of a larger one.
    }
  }
  if (region_ == nullptr || region_used_ == kRegionBytes) return nullptr;
  if (region_used_ == region_open_) {
    if (::mprotect(region_ + region_open_, kOpenBytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    region_open_ += kOpenBytes;
  }
  uint8_t* slab = region_ + region_used_;
  region_used_ += kSlabBytes;
  return slab;
}

}  // namespace heddle
