#include "lib/kube/line_splitter.h"

namespace heddle::kube {
namespace {

// An idle watch keeps no more than this for its next line.
constexpr size_t kKeptBytes = size_t{16} * 1024;

}  // namespace

void LineSplitter::Feed(std::span<const uint8_t> bytes) {
  if (overflow_) return;
  text_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  if (text_.empty() && text_.capacity() > kKeptBytes) text_ = std::string();
  text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::optional<std::string_view> LineSplitter::Next() {
  while (!overflow_) {
    const size_t end = text_.find('\n', scanned_);
    const size_t length = (end == std::string::npos ? text_.size() : end) - begin_;
    if (length > line_bytes_max_) {
      overflow_ = true;
      break;
    }
    if (end == std::string::npos) {
      scanned_ = text_.size();
      return std::nullopt;
    }
    std::string_view line(text_.data() + begin_, length);
    begin_ = scanned_ = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) return line;
  }
  return std::nullopt;
}

}  // namespace heddle::kube
