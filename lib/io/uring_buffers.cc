#include "lib/io/uring_buffers.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/base/check.h"

namespace heddle::io {

UringBuffers::UringBuffers(io_uring& ring, BufferPool& pool, uint16_t group, size_t block_size, uint32_t entries)
    : ring_(ring),
      pool_(pool),
      group_(group),
      block_size_(block_size),
      entries_(entries),
      blocks_(entries),
      wanted_(few()) {
  CHECK((entries & (entries - 1)) == 0);
  for (uint32_t i = entries; i > 0; --i) missing_.push_back(static_cast<uint16_t>(i - 1));
}

UringBuffers::~UringBuffers() {
  if (shared_ == nullptr) return;
  io_uring_unregister_buf_ring(&ring_, group_);
  ::munmap(shared_, entries_ * sizeof(io_uring_buf));
}

Result<void> UringBuffers::Register() {
  void* mapped = ::mmap(nullptr, entries_ * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
  if (mapped == MAP_FAILED) return std::unexpected(Error::Errno(errno, Op::kRing));
  shared_ = static_cast<io_uring_buf_ring*>(mapped);
  // A child has no use for it, and a copy-on-write break would leave the kernel with the wrong page.
  ::madvise(mapped, entries_ * sizeof(io_uring_buf), MADV_DONTFORK);
  io_uring_buf_ring_init(shared_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(mapped);
  registration.ring_entries = entries_;
  registration.bgid = group_;
  if (const int rc = io_uring_register_buf_ring(&ring_, &registration, 0); rc != 0) {
    ::munmap(std::exchange(shared_, nullptr), entries_ * sizeof(io_uring_buf));
    return std::unexpected(Error::Errno(-rc, Op::kRing));
  }
  return {};
}

void UringBuffers::Fill() {
  while (provided() < wanted_ && Refill(missing_.back())) missing_.pop_back();
  filled_ |= wanted_ > 0 && provided() >= wanted_;
}

void UringBuffers::Grow() {
  ++taken_;
  if (wanted_ == 0) {
    wanted_ = few();
  } else if (filled_) {
    wanted_ = entries_;
  }
}

bool UringBuffers::Refill(uint16_t entry) {
  Buffer block = pool_.Allocate(block_size_);
  if (block.capacity() == 0) return false;
  Provide(entry, std::move(block));
  return true;
}

void UringBuffers::Provide(uint16_t entry, Buffer block) {
  const int mask = io_uring_buf_ring_mask(entries_);
  io_uring_buf_ring_add(shared_, block.data(), static_cast<unsigned>(block.capacity()), entry, mask, 0);
  io_uring_buf_ring_advance(shared_, 1);
  blocks_[entry] = std::move(block);
}

uint32_t UringBuffers::Trim() {
  const uint32_t taken = std::exchange(taken_, 0);
  if (taken == 0) {
    wanted_ = 0;
    filled_ = false;
  } else if (taken < entries_) {
    wanted_ = few();
  }
  return provided() - std::min(provided(), wanted_);
}

void UringBuffers::TakeBack(uint16_t entry) {
  CHECK(entry < entries_ && blocks_[entry].capacity() > 0);
  blocks_[entry].Release();
  missing_.push_back(entry);
}

Buffer UringBuffers::Take(uint16_t entry, size_t size) {
  CHECK(entry < entries_ && blocks_[entry].capacity() > 0);
  Buffer block = std::move(blocks_[entry]);
  if (size == 0) {
    Provide(entry, std::move(block));
    return {};
  }
  block.Commit(size);
  ++taken_;
  if (provided() > wanted_ || !Refill(entry)) missing_.push_back(entry);
  return block;
}

}  // namespace heddle::io
