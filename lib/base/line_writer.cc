#include "lib/base/line_writer.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

namespace heddle {
namespace {

// After lines have been written, others may come together for this long. At thousands a second each would cost a
// wake-up otherwise, which is more than all the rest of a line.
constexpr auto kGather = std::chrono::milliseconds(5);
// What a burst has taken is given back.
constexpr size_t kKeptCapacityMax = 64 * 1024;

}  // namespace

LineWriter::LineWriter(int fd, size_t waiting_bytes_max)
    : fd_(fd), waiting_bytes_max_(waiting_bytes_max), thread_([this] { Run(); }) {}

LineWriter::~LineWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LineWriter::Add(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + line.size() + 1 > waiting_bytes_max_) {
      ++dropped_;
      return;
    }
    waiting_.append(line).push_back('\n');
    if (!std::exchange(sleeping_, false)) return;
  }
  changed_.notify_one();
}

uint64_t LineWriter::dropped_total() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void LineWriter::Run() {
  std::string bytes;
  std::unique_lock lock(mutex_);
  while (true) {
    while (waiting_.empty() && !ending_) {
      sleeping_ = true;
      changed_.wait(lock);
    }
    if (waiting_.empty()) return;
    bytes.swap(waiting_);
    lock.unlock();
    WriteOut(bytes);
    bytes.clear();
    if (bytes.capacity() > kKeptCapacityMax) bytes.shrink_to_fit();
    lock.lock();
    changed_.wait_for(lock, kGather, [this] { return ending_; });
  }
}

void LineWriter::WriteOut(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // Nobody reads it; there is no one to tell.
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace heddle
