#include "lib/base/heap_grow.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "lib/base/frame_allocator.h"
#include "lib/base/heap_trim.h"

namespace heddle {
namespace {

constexpr size_t kBlock = 1024;
constexpr size_t kBlocks = 40;
constexpr size_t kRoom = size_t{48} << 10;  // For all of them.

// Only the heaps of glibc are grown and touched: sanitizers have their own.
constexpr bool kIsGlibcs = !kPlainFrames;

size_t PageBytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

// How many bytes behind `address` are writable.
size_t WritableFrom(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    std::array<char, 5> mode{};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, mode.data()) != 3) continue;
    if (begin <= at && at < end) return mode[1] == 'w' ? end - at : 0;
  }
  return 0;
}

int64_t PageFaults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

// Takes the pages away that lie wholly within the block.
void DropPages(void* block, size_t bytes) {
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + PageBytes() - 1) / PageBytes() * PageBytes();
  const uintptr_t end = (reinterpret_cast<uintptr_t>(block) + bytes) / PageBytes() * PageBytes();
  ASSERT_EQ(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED), 0);
}

// Page faults of a thread that uses 40 KiB of a heap without pages.
int64_t FaultsOfUse(size_t touched_first) {
  int64_t faults = 0;
  std::thread([&] {
    std::array<void*, kBlocks> blocks{};
    void* room = std::malloc(kRoom);
    DropPages(room, kRoom);
    std::free(room);
    if (touched_first > 0) (void)TouchHeap(touched_first);
    const int64_t before = PageFaults();
    for (void*& block : blocks) std::memset(block = std::malloc(kBlock), 1, kBlock);
    faults = PageFaults() - before;
    for (void* block : blocks) std::free(block);
  }).join();
  return faults;
}

TEST(HeapGrow, AThreadsHeapIsWritableAheadAndStaysSo) {
  std::thread([] {
    void* block = std::malloc(kBlock);
    GrowHeap(size_t{4} << 20);
    if (kIsGlibcs) EXPECT_GE(WritableFrom(block), size_t{3} << 20);
    std::free(block);
  }).join();
}

TEST(HeapGrow, WhatWasTouchedCostsNoFaults) {
  const int64_t untouched = FaultsOfUse(0);
  const int64_t touched = FaultsOfUse(kRoom);
  if (!kIsGlibcs) return;
  EXPECT_GE(untouched, static_cast<int64_t>(kBlocks * kBlock / PageBytes()) - 2);
  EXPECT_LE(touched, 2);
}

TEST(HeapGrow, IsTouchedOnceUntilItIsTrimmed) {
  std::thread([] {
    const size_t first = TouchHeap(kRoom);
    EXPECT_GE(first, kRoom);
    const size_t again = TouchHeap(kRoom);
    TrimHeap();
    const size_t after_trim = TouchHeap(kRoom);
    if (!kIsGlibcs) return;
    EXPECT_EQ(again, 0u);
    EXPECT_GE(after_trim, kRoom);
  }).join();
}

TEST(HeapGrow, TouchesNoMoreThanItSays) {
  std::thread([] { EXPECT_LE(TouchHeap(size_t{1} << 30), kRoom + 2 * PageBytes()); }).join();
}

}  // namespace
}  // namespace heddle
