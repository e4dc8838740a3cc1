#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "lib/base/check.h"

namespace heddle::tls {

// Bytes that are appended at the end and consumed from the front. Holds no memory when empty.
// Unlike a vector it neither zeroes what it is going to overwrite nor moves bytes on every consume.
class OutputBuffer {
 public:
  OutputBuffer() = default;
  OutputBuffer(OutputBuffer&& other) noexcept { *this = std::move(other); }
  OutputBuffer& operator=(OutputBuffer&& other) noexcept {
    block_ = std::move(other.block_);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  std::span<const uint8_t> bytes() const { return {block_.get() + begin_, end_ - begin_}; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  // Makes room for `more` bytes with one allocation at most.
  void Reserve(size_t more) {
    if (capacity_ - end_ >= more) return;
    const size_t grown = size() + more;
    auto block = std::make_unique_for_overwrite<uint8_t[]>(grown);
    if (!empty()) std::memcpy(block.get(), block_.get() + begin_, size());
    end_ = size();
    begin_ = 0;
    capacity_ = grown;
    block_ = std::move(block);
  }

  void Append(std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    if (capacity_ - end_ < bytes.size()) Reserve(std::max(bytes.size(), size()));
    std::memcpy(block_.get() + end_, bytes.data(), bytes.size());
    end_ += bytes.size();
  }

  void Consume(size_t n) {
    CHECK(n <= size());
    begin_ += n;
    if (empty()) Clear();
  }

 private:
  void Clear() {
    block_.reset();
    begin_ = end_ = capacity_ = 0;
  }

  std::unique_ptr<uint8_t[]> block_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

}  // namespace heddle::tls
