#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace heddle::io {

class BufferPool;

// Bytes in a block of a BufferPool, with a readable part [data, data + size). Moves; its block returns to the
// pool when it goes. Belongs to the pool's loop. An empty Buffer holds no block.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Release(); }

  uint8_t* data() { return block_ + begin_; }
  const uint8_t* data() const { return block_ + begin_; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }
  std::span<const uint8_t> bytes() const { return {data(), size()}; }
  std::span<uint8_t> bytes() { return {data(), size()}; }

  // Drops n readable bytes from the front.
  void Consume(size_t n);
  // The free part behind the readable one, and taking n bytes of it into the readable part.
  std::span<uint8_t> writable() { return {block_ + end_, capacity_ - end_}; }
  void Commit(size_t n);
  void Clear() { begin_ = end_ = 0; }
  // Gives the block back now.
  void Release();

 private:
  friend class BufferPool;
  BufferPool* pool_ = nullptr;
  uint8_t* block_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
};

struct BufferPoolStats {
  size_t mapped_bytes = 0;   // Taken from the kernel.
  size_t in_use_bytes = 0;   // In Buffers that somebody holds.
  uint64_t refused_total = 0;  // Allocations refused at the limit.
};

// Blocks of 4, 16, 64 and 144 KiB from slabs that are mapped when needed and unmapped when idle: the memory of
// bytes under way on one loop. An idle connection holds none of it. One loop's only.
class BufferPool {
 public:
  static constexpr size_t kSmall = 4 * 1024;
  static constexpr size_t kRecord = 16 * 1024 + 512;  // One full TLS record with its header fits.
  static constexpr size_t kBulk = 64 * 1024;
  // What a bulk flow reads at once (ReadSize) and, of TLS, the record that it began with. Twice as much costs more:
  // what a relay copies from block to block then leaves the nearest caches.
  static constexpr size_t kBulkMax = 144 * 1024;

  // Never maps more than `limit_bytes`.
  explicit BufferPool(size_t limit_bytes);
  ~BufferPool();  // Every Buffer must be back.
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer of at least `size` bytes (at most kBulkMax). Empty (capacity 0) when the limit is reached: the
  // caller waits or fails with IoCode::kLimit.
  Buffer Allocate(size_t size);
  // Gives whole free slabs back to the kernel, at most about `bytes_max`, and of the others the pages of blocks that
  // were not needed since the last call; returns the bytes unmapped. The loop calls it every second, in slices.
  size_t Trim(size_t bytes_max = SIZE_MAX);
  BufferPoolStats stats() const;

 private:
  friend class Buffer;
  void Free(uint8_t* block, size_t capacity);
  struct Slab;
  struct Slabs;
  std::unique_ptr<Slabs> slabs_;
};

}  // namespace heddle::io
