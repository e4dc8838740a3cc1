#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <string_view>

namespace heddle::grpc {

// grpc-timeout: at most 8 digits and a unit (H M S m u n). Empty when the text is not that.
std::optional<absl::Duration> ParseTimeout(std::string_view text);
// Rounded up, so that the server's deadline is never before the client's; negative becomes "0n".
std::string FormatTimeout(absl::Duration timeout);

}  // namespace heddle::grpc
