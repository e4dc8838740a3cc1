#pragma once

#include <absl/status/status.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "lib/base/log.h"
#include "lib/io/address.h"

// Values of options that several programs take.
namespace heddle::daemon {

// --log-level and --log-format.
void AddLogOptions(CLI::App& app, log::Options& log);
// As --log-level takes it.
std::string NameOf(log::Level level);

// The name of a value in the table that CLI::CheckedTransformer takes; empty if it has none.
template <typename T>
std::string NameOf(const std::map<std::string, T>& names, T value) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return name;
  }
  return "";
}

// An address to listen on, as "127.0.0.1:15000" or "[::]:15020"; the error names the flag.
absl::Status ParseListen(const char* flag, const std::string& text, io::SocketAddress& out);

}  // namespace heddle::daemon
