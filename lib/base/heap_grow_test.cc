#include "lib/base/heap_grow.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

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

// Only the heaps of glibc are grown and touched: sanitizers have their own.
constexpr bool kIsGlibcs = !kPlainFrames;

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

// Page faults of a thread that uses 40 KiB of its heap.
int64_t FaultsOfUse(size_t touched_first) {
  int64_t faults = 0;
  std::thread([&] {
    std::array<void*, kBlocks> blocks{};
    TrimHeap();  // The heap may be one that another thread has used.
    if (touched_first > 0) TouchHeap(touched_first);
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
  const int64_t touched = FaultsOfUse(kBlocks * kBlock + 4096);
  if (!kIsGlibcs) return;
  EXPECT_GE(untouched, 8);
  EXPECT_LE(touched, 2);
}

TEST(HeapGrow, TouchedAgainNothingIsTouched) {
  std::thread([] {
    TouchHeap(kBlocks * kBlock);
    const int64_t before = PageFaults();
    for (int i = 0; i < 100; ++i) TouchHeap(kBlocks * kBlock);
    EXPECT_LE(PageFaults() - before, 2);
  }).join();
}

}  // namespace
}  // namespace heddle
