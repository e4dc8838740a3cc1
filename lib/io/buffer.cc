#include "lib/io/buffer.h"

#include <absl/container/flat_hash_map.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "lib/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace heddle::io {
namespace {

// Slabs are aligned to their size, so that a block's address names its slab.
constexpr size_t kSlabSize = 1024 * 1024;
constexpr std::array<size_t, 4> kBlockSizes = {BufferPool::kSmall, BufferPool::kRecord, BufferPool::kBulk,
                                               BufferPool::kBulkMax};

uint8_t* MapSlab() {
  const size_t span = 2 * kSlabSize;
  void* mapped = ::mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<uint8_t*>(mapped);
  const size_t before = (kSlabSize - reinterpret_cast<uintptr_t>(begin) % kSlabSize) % kSlabSize;
  if (before > 0) ::munmap(begin, before);
  const size_t after = span - before - kSlabSize;
  if (after > 0) ::munmap(begin + before + kSlabSize, after);
  return begin + before;
}

uint8_t* SlabOf(uint8_t* block) { return block - reinterpret_cast<uintptr_t>(block) % kSlabSize; }

}  // namespace

struct BufferPool::Slab {
  uint8_t* base = nullptr;
  size_t size_class = 0;
  std::vector<uint16_t> free;  // Numbers of the free blocks, the last freed at the back: its pages are warm.
  size_t clean = 0;     // So many at the front have no pages.
  size_t unneeded = 0;  // So many at the front have been free since the last trim.

  size_t blocks() const { return kSlabSize / kBlockSizes[size_class]; }
  bool unused() const { return free.size() == blocks(); }
  uint16_t Take() {
    const uint16_t block = free.back();
    free.pop_back();
    clean = std::min(clean, free.size());
    unneeded = std::min(unneeded, free.size());
    return block;
  }
  void DropPages();
};

// A block may share its first and its last page with its neighbours.
void BufferPool::Slab::DropPages() {
  static const auto kPage = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t block_size = kBlockSizes[size_class];
  for (; clean < unneeded; ++clean) {
    const size_t begin = (free[clean] * block_size + kPage - 1) / kPage * kPage;
    const size_t end = (free[clean] + 1) * block_size / kPage * kPage;
    if (begin < end) ::madvise(base + begin, end - begin, MADV_DONTNEED);
  }
  unneeded = free.size();
}

struct BufferPool::Slabs {
  size_t limit_bytes = 0;
  BufferPoolStats stats;
  absl::flat_hash_map<uint8_t*, std::unique_ptr<Slab>> by_base;
  std::array<std::vector<Slab*>, kBlockSizes.size()> with_room;  // Per size class; allocation takes the back.

  Slab* Add(size_t size_class) {
    uint8_t* base = stats.mapped_bytes + kSlabSize <= limit_bytes ? MapSlab() : nullptr;
    if (base == nullptr) return nullptr;
    auto slab = std::make_unique<Slab>();
    slab->base = base;
    slab->size_class = size_class;
    slab->free.reserve(slab->blocks());
    for (size_t i = slab->blocks(); i > 0; --i) slab->free.push_back(static_cast<uint16_t>(i - 1));
    slab->clean = slab->unneeded = slab->free.size();
    ASAN_POISON_MEMORY_REGION(base, kSlabSize);
    stats.mapped_bytes += kSlabSize;
    with_room[size_class].push_back(slab.get());
    return (by_base[base] = std::move(slab)).get();
  }
};

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  Release();
  pool_ = std::exchange(other.pool_, nullptr);
  block_ = std::exchange(other.block_, nullptr);
  capacity_ = std::exchange(other.capacity_, 0);
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  return *this;
}

void Buffer::Consume(size_t n) {
  CHECK(n <= size());
  begin_ += static_cast<uint32_t>(n);
}

void Buffer::Commit(size_t n) {
  CHECK(n <= capacity_ - end_);
  end_ += static_cast<uint32_t>(n);
}

void Buffer::Release() {
  if (pool_ != nullptr) pool_->Free(block_, capacity_);
  pool_ = nullptr;
  block_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

BufferPool::BufferPool(size_t limit_bytes) : slabs_(std::make_unique<Slabs>()) { slabs_->limit_bytes = limit_bytes; }

BufferPool::~BufferPool() {
  CHECK(slabs_->stats.in_use_bytes == 0);
  Trim();
}

Buffer BufferPool::Allocate(size_t size) {
  CHECK(size <= kBulkMax);
  const auto fits = std::find_if(kBlockSizes.begin(), kBlockSizes.end(), [&](size_t block) { return size <= block; });
  const auto size_class = static_cast<size_t>(fits - kBlockSizes.begin());
  auto& with_room = slabs_->with_room[size_class];
  if (with_room.empty() && slabs_->Add(size_class) == nullptr) {
    // Free slabs of the other size classes may stand in the way.
    if (Trim() == 0 || slabs_->Add(size_class) == nullptr) {
      ++slabs_->stats.refused_total;
      return {};
    }
  }
  Slab& slab = *with_room.back();
  Buffer buffer;
  buffer.pool_ = this;
  buffer.capacity_ = static_cast<uint32_t>(*fits);
  buffer.block_ = slab.base + slab.Take() * *fits;
  if (slab.free.empty()) with_room.pop_back();
  slabs_->stats.in_use_bytes += *fits;
  ASAN_UNPOISON_MEMORY_REGION(buffer.block_, *fits);
  return buffer;
}

void BufferPool::Free(uint8_t* block, size_t capacity) {
  ASAN_POISON_MEMORY_REGION(block, capacity);
  const auto found = slabs_->by_base.find(SlabOf(block));
  CHECK(found != slabs_->by_base.end());
  Slab& slab = *found->second;
  if (slab.free.empty()) slabs_->with_room[slab.size_class].push_back(&slab);
  slab.free.push_back(static_cast<uint16_t>(static_cast<size_t>(block - slab.base) / capacity));
  slabs_->stats.in_use_bytes -= capacity;
}

size_t BufferPool::Trim(size_t bytes_max) {
  size_t trimmed = 0;
  for (auto& with_room : slabs_->with_room) {
    std::erase_if(with_room, [&](Slab* slab) {
      if (!slab->unused()) {
        slab->DropPages();
        return false;
      }
      if (trimmed >= bytes_max) return false;
      ASAN_UNPOISON_MEMORY_REGION(slab->base, kSlabSize);
      ::munmap(slab->base, kSlabSize);
      trimmed += kSlabSize;
      slabs_->by_base.erase(slab->base);
      return true;
    });
  }
  slabs_->stats.mapped_bytes -= trimmed;
  return trimmed;
}

BufferPoolStats BufferPool::stats() const { return slabs_->stats; }

}  // namespace heddle::io
