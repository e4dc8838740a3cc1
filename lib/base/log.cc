#include "lib/base/log.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <spdlog/async.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>

namespace heddle::log {
namespace {

std::atomic<Level> threshold = Level::kInfo;
std::atomic<Format> line_format = Format::kText;
std::atomic<uint64_t> dropped_total = 0;  // Of writers that have ended.

// The writer's parts; set and cleared by Writer in main.
std::shared_ptr<spdlog::details::thread_pool> pool;
std::shared_ptr<spdlog::async_logger> logger;

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

std::string Now() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
}

// The scope may be empty.
std::string TextLine(Level level, std::string_view scope, std::string_view event,
                     std::span<const Field> fields) {
  std::string line = Now();
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
  object["time"] = Now();
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
  pool = std::make_shared<spdlog::details::thread_pool>(options.queue_lines, 1);
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  logger = std::make_shared<spdlog::async_logger>("heddle", std::move(sink), pool,
                                                  spdlog::async_overflow_policy::overrun_oldest);
  logger->set_pattern("%v");
  logger->flush_on(spdlog::level::info);
}

Writer::~Writer() {
  dropped_total += pool->overrun_counter();
  logger->flush();
  logger.reset();
  pool.reset();  // Joins the writer thread after it has written what is queued.
}

bool Enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }
void SetLevel(Level level) { threshold = level; }
uint64_t DroppedLines() { return dropped_total + (pool ? pool->overrun_counter() : 0); }

void Write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  WriteScoped(level, {}, event, {fields.begin(), fields.size()});
}

void WriteScoped(Level level, std::string_view scope, std::string_view message,
                 std::span<const Field> fields) {
  WriteLine(line_format == Format::kJson ? JsonLine(level, scope, message, fields)
                                         : TextLine(level, scope, message, fields));
}

void WriteLine(std::string line) {
  if (logger) {
    logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
    return;
  }
  line.push_back('\n');
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace heddle::log
