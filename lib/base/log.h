#pragma once

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace heddle::log {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError };
enum class Format : uint8_t { kText, kJson };

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
  // Lines waiting for the writer thread; more are dropped and counted.
  size_t waiting_bytes_max = size_t{1} << 20;
};

// Starts the writer thread that owns standard error. Without it (tests, short commands) lines are written at once.
// Call once, in main, before other threads start. The returned object flushes and ends the writer when it is destroyed.
class Writer {
 public:
  explicit Writer(const Options& options);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

bool Enabled(Level level);
void SetLevel(Level level);
// Lines dropped because the queue was full.
uint64_t DroppedLines();

struct Field {
  std::string_view key;
  std::string value;
};

// Thread-safe; never waits for the terminal or the disk.
void Write(Level level, std::string_view event, std::initializer_list<Field> fields);

// The same under a scope of its own, for access log lines: "time TAB level TAB scope TAB message TAB
// key=value ...", or a JSON object with the members time, level, scope, message and the fields.
void WriteScoped(Level level, std::string_view scope, std::string_view message,
                 std::span<const Field> fields);

// Writes one finished line without level and time, in order with the others: for access log lines.
void WriteLine(std::string line);

template <typename T>
Field MakeField(std::string_view key, const T& value) {
  if constexpr (std::same_as<T, absl::Status>) {
    return {key, std::string(value.message())};
  } else if constexpr (std::convertible_to<T, std::string_view>) {
    return {key, std::string(std::string_view(value))};
  } else if constexpr (requires { value.ToString(); }) {
    return {key, value.ToString()};
  } else {
    return {key, absl::StrCat(value)};
  }
}

}  // namespace heddle::log

#define HEDDLE_LOG(level, event, ...)                                                     \
  do {                                                                                    \
    if (::heddle::log::Enabled(level)) ::heddle::log::Write(level, event, {__VA_ARGS__}); \
  } while (false)

// LOG_WARN("cert.fetch.failed", KV("identity", id), KV("error", status)): an event's name and facts, not prose.
#define LOG_DEBUG(event, ...) HEDDLE_LOG(::heddle::log::Level::kDebug, event, __VA_ARGS__)
#define LOG_INFO(event, ...) HEDDLE_LOG(::heddle::log::Level::kInfo, event, __VA_ARGS__)
#define LOG_WARN(event, ...) HEDDLE_LOG(::heddle::log::Level::kWarning, event, __VA_ARGS__)
#define LOG_ERROR(event, ...) HEDDLE_LOG(::heddle::log::Level::kError, event, __VA_ARGS__)
#define KV(key, value) ::heddle::log::MakeField(key, value)
