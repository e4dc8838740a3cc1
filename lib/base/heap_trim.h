#pragma once

#include <cstdint>

namespace heddle {

// Gives the pages of malloc that hold nothing back to the kernel, those that the calling thread's cache of free
// blocks keeps included. After a burst, not in one: it takes milliseconds.
void TrimHeap();

// How often that was done, by any thread.
uint64_t HeapTrimsTotal();

}  // namespace heddle
