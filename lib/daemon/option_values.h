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

// For CLI::Option::transform: one of these names. CLI11's own transformer would print the values in
// help and errors, too, and those of small enums are control characters.
template <typename T>
CLI::Validator OneOf(const std::map<std::string, T>& names) {
  std::string choices;
  for (const auto& [name, value] : names) choices += (choices.empty() ? "{" : ",") + name;
  choices += "}";
  const auto parse = [names, choices](std::string& input) {
    if (!names.contains(input)) return "must be one of " + choices + ", not " + input;
    return CLI::CheckedTransformer(names)(input);
  };
  return CLI::Validator(parse, choices, "");
}

// The name of a value in such a table; empty if it has none.
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
