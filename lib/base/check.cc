#include "lib/base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace heddle::internal {

void CheckFailed(const char* condition, std::source_location where) {
  char line[512];
  const int length =
      std::snprintf(line, sizeof(line), "%s:%u: %s: CHECK failed: %s\n", where.file_name(),
                    where.line(), where.function_name(), condition);
  if (length > 0) {
    const auto size = std::min<size_t>(static_cast<size_t>(length), sizeof(line) - 1);
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line, size);
  }
  std::abort();
}

}  // namespace heddle::internal
