#pragma once

#include <cstddef>

namespace heddle {

// Readies so much of the calling thread's heap, at most 60 MB, for what it allocates next. glibc makes the heap of a
// thread writable page by page as it grows, each time with a system call under the lock of the process's memory map.
// What was writable once stays so when it is given back, and takes no memory until it is used. Without effect on a
// process's first thread, whose heap is another.
void GrowHeap(size_t bytes);

// Touches what the calling thread's heap gives next, at most 48 KiB, with one system call: a page fault for each page
// costs several times as much. So it is for whoever will soon use nearly all of it. Callers that follow each other
// before they use it share one piece. Returns how many bytes were touched: none where that was done before and no heap
// has been trimmed since.
size_t TouchHeap(size_t bytes);

}  // namespace heddle
