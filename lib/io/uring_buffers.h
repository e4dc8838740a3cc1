#pragma once

#include <liburing.h>

#include <vector>

#include "lib/io/buffer.h"
#include "lib/io/error.h"

namespace heddle::io {

// Blocks of one size class that the kernel may take for receives: a provided-buffer ring
// (io_uring_register_buf_ring(3)). A receive that waits holds no block; the kernel takes one when bytes are
// there. Taken blocks are replaced at once from the pool, so all connections of the loop share what the kernel has.
// That is few blocks, for it takes them in turn and so touches them all; as many as there are entries once a
// receive has found none, until few are taken again; and none after a time in which none was taken.
class UringBuffers {
 public:
  UringBuffers(io_uring& ring, BufferPool& pool, uint16_t group, size_t block_size, uint32_t entries);
  ~UringBuffers();
  UringBuffers(const UringBuffers&) = delete;
  UringBuffers& operator=(const UringBuffers&) = delete;

  // Registers the ring with the kernel; it holds no blocks before the first Fill().
  Result<void> Register();
  // Provides blocks until the kernel has as many as it shall or the pool is at its limit.
  void Fill();
  // A receive has found no block and taken its bytes without: from now on the kernel has a few, or if it had those
  // already, all.
  void Grow();
  // The block that the kernel has taken, with `size` readable bytes. With size 0 it goes back to the kernel.
  Buffer Take(uint16_t block, size_t size);
  // Ends a time in which blocks were taken or not. Returns how many the kernel has beyond what it needs: the caller
  // makes it take them, for there is no other way to get them back.
  uint32_t Trim();
  // It has taken one of them.
  void TakeBack(uint16_t block);

  uint16_t group() const { return group_; }
  size_t block_size() const { return block_size_; }

 private:
  uint32_t few() const { return (entries_ + 7) / 8; }
  uint32_t provided() const { return entries_ - static_cast<uint32_t>(missing_.size()); }
  void Provide(uint16_t entry, Buffer block);
  bool Refill(uint16_t entry);

  io_uring& ring_;
  BufferPool& pool_;
  const uint16_t group_;
  const size_t block_size_;
  const uint32_t entries_;
  io_uring_buf_ring* shared_ = nullptr;  // Mapped, shared with the kernel.
  std::vector<Buffer> blocks_;           // By entry: what the kernel has.
  std::vector<uint16_t> missing_;        // Entries without a block.
  uint32_t wanted_;                      // Blocks that the kernel shall have.
  bool filled_ = false;                  // It has had blocks since it last had none.
  uint32_t taken_ = 0;                   // Since the last Trim(), or received without a block.
};

}  // namespace heddle::io
