#include "lib/base/heap_trim.h"

#include <malloc.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdlib>

namespace heddle {
namespace {

// What glibc caches for each thread: so many free blocks of each of so many sizes. malloc_trim() takes them for used,
// and after a burst each may be all that keeps a page.
constexpr size_t kCachedSizes = 64;
constexpr size_t kCachedOfASize = 7;
constexpr size_t kSmallestBlock = 24;
constexpr size_t kBlockStep = 16;
constexpr size_t kStackBytes = 64 * 1024;

std::atomic<uint64_t> trims_total = 0;

using Blocks = std::array<void*, kCachedSizes * kCachedOfASize>;

void* FreeAll(void* blocks) {
  for (void* block : *static_cast<Blocks*>(blocks)) std::free(block);
  return nullptr;
}

// There is no call for it. Blocks that another thread frees go into that thread's cache, which ends with the thread.
void EmptyThreadCache() {
  Blocks blocks;
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i] = std::malloc(kSmallestBlock + i / kCachedOfASize * kBlockStep);
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, &FreeAll, &blocks) == 0) {
    pthread_join(thread, nullptr);
  } else {
    FreeAll(&blocks);
  }
  pthread_attr_destroy(&attributes);
}

}  // namespace

void TrimHeap() {
  EmptyThreadCache();
  ::malloc_trim(0);
  trims_total.fetch_add(1, std::memory_order_relaxed);
}

uint64_t HeapTrimsTotal() { return trims_total.load(std::memory_order_relaxed); }

}  // namespace heddle
