#include "bench/load/inlet.h"

#include <algorithm>

namespace heddle::bench {

Task<io::Result<std::span<const uint8_t>>> Inlet::Some(size_t size_max, StopToken stop) {
  buffer_.Consume(taken_);
  taken_ = 0;
  if (buffer_.empty()) {
    // A connection that waits holds no block.
    buffer_.Release();
    const size_t hint = std::clamp(size_max, io::BufferPool::kSmall, io::BufferPool::kBulkMax);
    CO_TRY(buffer_, co_await stream_.Read(hint, stop));
  }
  taken_ = std::min(size_max, buffer_.size());
  co_return buffer_.bytes().first(taken_);
}

Task<io::Result<void>> Inlet::Exactly(std::span<uint8_t> out, StopToken stop) {
  while (!out.empty()) {
    CO_TRY(const auto bytes, co_await Some(out.size(), stop));
    if (bytes.empty())
      co_return std::unexpected(io::Error::Io(io::IoCode::kUnexpectedEof, io::Op::kRead));
    std::ranges::copy(bytes, out.begin());
    out = out.subspan(bytes.size());
  }
  co_return io::Result<void>();
}

Task<io::Result<bool>> Inlet::Checked(Pattern pattern, uint64_t size, StopToken stop) {
  bool same = true;
  for (uint64_t position = 0; position < size;) {
    const size_t wanted = std::min<uint64_t>(size - position, io::BufferPool::kBulkMax);
    CO_TRY(const auto bytes, co_await Some(wanted, stop));
    if (bytes.empty())
      co_return std::unexpected(io::Error::Io(io::IoCode::kUnexpectedEof, io::Op::kRead));
    same = same && pattern.Matches(position, bytes);
    position += bytes.size();
  }
  co_return same;
}

}  // namespace heddle::bench
