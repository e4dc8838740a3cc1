#include "lib/daemon/option_values.h"

#include <absl/strings/str_cat.h>

namespace heddle::daemon {
namespace {

const std::map<std::string, log::Level> kLevels = {{"debug", log::Level::kDebug},
                                                   {"info", log::Level::kInfo},
                                                   {"warn", log::Level::kWarning},
                                                   {"error", log::Level::kError}};
const std::map<std::string, log::Format> kFormats = {{"text", log::Format::kText},
                                                     {"json", log::Format::kJson}};

}  // namespace

void AddLogOptions(CLI::App& app, log::Options& log) {
  app.add_option("--log-level", log.level, "debug, info, warn or error")->transform(OneOf(kLevels));
  app.add_option("--log-format", log.format, "text or json")->transform(OneOf(kFormats));
}

std::string NameOf(log::Level level) { return NameOf(kLevels, level); }

absl::Status ParseListen(const char* flag, const std::string& text, io::SocketAddress& out) {
  const auto address = io::SocketAddress::Parse(text);
  if (!address) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": '", text, "' is not an address such as 127.0.0.1:15000 or [::]:15020"));
  }
  out = *address;
  return absl::OkStatus();
}

}  // namespace heddle::daemon
