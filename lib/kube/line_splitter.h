#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace heddle::kube {

// Bytes in, lines out: a watch's events, however they were cut on the way.
class LineSplitter {
 public:
  // A line longer than this is an error, after which nothing more comes out.
  explicit LineSplitter(size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  // Take all lines with Next() before more is fed.
  void Feed(std::span<const uint8_t> bytes);
  // The next complete line that is not empty, without its end; valid until the next call.
  std::optional<std::string_view> Next();
  // A line is longer than the limit.
  bool overflow() const { return overflow_; }
  // Bytes of a line that is not complete.
  size_t pending() const { return text_.size() - begin_; }

 private:
  const size_t line_bytes_max_;
  std::string text_;
  size_t begin_ = 0;    // Of the line that comes next.
  size_t scanned_ = 0;  // There is no line end between begin_ and here.
  bool overflow_ = false;
};

}  // namespace heddle::kube
