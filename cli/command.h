#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>

namespace heddle::cli {

enum class Output : uint8_t { kTable, kJson };

// What a subcommand did: text for standard output, and how the program ends.
struct Outcome {
  std::string text;
  int exit_code =
      0;  // 0 done, 1 what was asked about is not well. An error instead of an outcome ends with 1, too.
};

// What the chosen subcommand does, once all options have been read.
using Action = std::function<absl::StatusOr<Outcome>()>;

}  // namespace heddle::cli
