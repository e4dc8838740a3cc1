#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace heddle {

// Writes lines to a descriptor on a thread of its own, so that nobody waits for a terminal, a pipe or a disk. A line is
// written at once when none was written a moment ago; those of a burst go together, with one system call and one
// wake-up for all. Any thread may add lines; they stay in order. Destruction writes what is waiting first.
class LineWriter {
 public:
  // Keeps at most `waiting_bytes_max` while the descriptor takes none; what comes then is dropped and counted. The
  // descriptor stays the caller's.
  LineWriter(int fd, size_t waiting_bytes_max);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Without the newline.
  void Add(std::string_view line);
  uint64_t dropped_total() const;

 private:
  void Run();
  void WriteOut(std::string_view bytes) const;

  const int fd_;
  const size_t waiting_bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  uint64_t dropped_ = 0;
  bool sleeping_ = false;  // The thread waits for the next line, and must be woken.
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace heddle
