#include "lib/base/log.h"

#include <absl/time/clock.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/line_writer.h"
#include "lib/base/log_time.h"

namespace heddle::log {
namespace {

std::atomic<Level> threshold = Level::kInfo;
std::atomic<Format> line_format = Format::kText;
std::atomic<uint64_t> dropped_total = 0;  // Of writers that have ended.

std::optional<LineWriter> writer;  // Set and cleared by Writer in main.

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warn";
    case Level::kError: return "error";
  }
  return "unknown";
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == 0x7f) return true;
  }
  return false;
}

// JSON's escapes are what a reader of key=value lines expects, too.
std::string Quoted(std::string_view value) {
  return nlohmann::json(std::string(value))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A line of the access log has about 600 bytes.
constexpr size_t kUsualLineBytes = 768;

void AppendNow(std::string& line) {
  thread_local LineTime line_time;
  line_time.Append(absl::Now(), line);
}

// The scope may be empty.
std::string TextLine(Level level, std::string_view scope, std::string_view event,
                     std::span<const Field> fields) {
  std::string line;
  line.reserve(kUsualLineBytes);
  AppendNow(line);
  line.append("\t")
      .append(Name(level))
      .append("\t")
      .append(scope)
      .append(scope.empty() ? "" : "\t")
      .append(event);
  char separator = scope.empty() ? ' ' : '\t';
  for (const Field& field : fields) {
    line.append(1, separator).append(field.key).append("=");
    line.append(NeedsQuotes(field.value) ? Quoted(field.value) : field.value);
    separator = ' ';
  }
  return line;
}

std::string JsonLine(Level level, std::string_view scope, std::string_view event,
                     std::span<const Field> fields) {
  nlohmann::ordered_json object;
  std::string time;
  AppendNow(time);
  object["time"] = std::move(time);
  object["level"] = std::string(Name(level));
  if (!scope.empty()) object["scope"] = std::string(scope);
  object["message"] = std::string(event);
  for (const Field& field : fields) object[std::string(field.key)] = field.value;
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Writer::Writer(const Options& options) {
  threshold = options.level;
  line_format = options.format;
  writer.emplace(STDERR_FILENO, options.waiting_bytes_max);
}

Writer::~Writer() {
  dropped_total += writer->dropped_total();
  writer.reset();
}

bool Enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }
void SetLevel(Level level) { threshold = level; }
uint64_t DroppedLines() { return dropped_total + (writer ? writer->dropped_total() : 0); }

void Write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  WriteScoped(level, {}, event, {fields.begin(), fields.size()});
}

void WriteScoped(Level level, std::string_view scope, std::string_view message,
                 std::span<const Field> fields) {
  WriteLine(line_format == Format::kJson ? JsonLine(level, scope, message, fields)
                                         : TextLine(level, scope, message, fields));
}

void WriteLine(std::string line) {
  if (writer) return writer->Add(line);
  line.push_back('\n');
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace heddle::log
