#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/copy_bytes.h"
#include "lib/io/buffer.h"

namespace heddle::tls {

// Bytes that are appended at the end and consumed from the front. Holds no memory when empty.
// Unlike a vector it neither zeroes what it is going to overwrite nor moves bytes on every consume.
// Its memory is a block of the pool where one was given and has room, else of the heap.
class OutputBuffer {
 public:
  // `pool` outlives the buffer and whatever it was moved to.
  explicit OutputBuffer(io::BufferPool* pool = nullptr) : pool_(pool) {}
  OutputBuffer(OutputBuffer&& other) noexcept { *this = std::move(other); }
  OutputBuffer& operator=(OutputBuffer&& other) noexcept {
    pool_ = other.pool_;
    pooled_ = std::move(other.pooled_);
    heap_ = std::move(other.heap_);
    block_ = std::exchange(other.block_, nullptr);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  std::span<const uint8_t> bytes() const { return {block_ + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  // Makes room for `more` bytes with one allocation at most.
  void Reserve(size_t more) {
    if (capacity_ - end_ < more) Grow(size() + more);
  }

  void Append(std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    if (capacity_ - end_ < bytes.size()) Reserve(std::max(bytes.size(), size()));
    CopyBytes(bytes, block_ + end_);
    end_ += bytes.size();
  }

  void Consume(size_t n) {
    CHECK(n <= size());
    begin_ += n;
    if (empty()) Clear();
  }

 private:
  void Grow(size_t grown) {
    io::Buffer pooled;
    if (pool_ != nullptr && grown <= io::BufferPool::kBulkMax) pooled = pool_->Allocate(grown);
    std::unique_ptr<uint8_t[]> heap;
    if (pooled.capacity() == 0) heap = std::make_unique_for_overwrite<uint8_t[]>(grown);
    uint8_t* block = heap != nullptr ? heap.get() : pooled.data();
    CopyBytes(bytes(), block);
    end_ = size();
    begin_ = 0;
    capacity_ = heap != nullptr ? grown : pooled.capacity();
    block_ = block;
    pooled_ = std::move(pooled);
    heap_ = std::move(heap);
  }

  void Clear() {
    pooled_.Release();
    heap_.reset();
    block_ = nullptr;
    begin_ = end_ = capacity_ = 0;
  }

  io::BufferPool* pool_ = nullptr;
  io::Buffer pooled_;
  std::unique_ptr<uint8_t[]> heap_;
  uint8_t* block_ = nullptr;  // Of one of the two.
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

}  // namespace heddle::tls
