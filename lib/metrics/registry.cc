#include "lib/metrics/registry.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <memory>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace heddle::metrics {
namespace {

std::string LabelText(const Description& description) {
  std::string text;
  for (const auto& [name, value] : description.labels) AppendLabel(name, value, text);
  return text;
}

void AppendEscaped(std::string_view text, bool quotes, std::string& out) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// What all declarations of one name add up to.
struct Family {
  Type type;
  std::string_view help;
  std::map<std::string, uint64_t, std::less<>> series;
};

void AppendFamily(std::string_view name, const Family& family, std::string& out) {
  const bool counter = family.type == Type::kCounter;
  absl::StrAppend(&out, "# TYPE ", ToAbsl(name), counter ? " counter\n# HELP " : " gauge\n# HELP ", ToAbsl(name), " ");
  AppendEscaped(family.help, false, out);
  out += '\n';
  for (const auto& [labels, value] : family.series) {
    absl::StrAppend(&out, ToAbsl(name), counter ? "_total" : "");
    if (!labels.empty()) absl::StrAppend(&out, "{", labels, "}");
    if (counter) {
      absl::StrAppend(&out, " ", value, "\n");
    } else {
      absl::StrAppend(&out, " ", static_cast<int64_t>(value), "\n");
    }
  }
}

}  // namespace

void AppendLabel(std::string_view name, std::string_view value, std::string& out) {
  if (!out.empty()) out += ',';
  out += name;
  out += "=\"";
  AppendEscaped(value, true, out);
  out += '"';
}

Metric::Metric(Registry& registry, Type type, std::string_view name, std::string_view help)
    : registry_(registry), type_(type), name_(name), help_(help) {}

void Metric::Register() {
  const std::lock_guard lock(registry_.mutex_);
  registry_.metrics_.push_back(this);
}

void Metric::Unregister() {
  const std::lock_guard lock(registry_.mutex_);
  std::erase(registry_.metrics_, this);
}

Counter::Counter(Registry& registry, const Description& description)
    : Metric(registry, Type::kCounter, description.name, description.help), labels_(LabelText(description)) {
  Register();
}

Gauge::Gauge(Registry& registry, const Description& description)
    : Metric(registry, Type::kGauge, description.name, description.help), labels_(LabelText(description)) {
  Register();
}

Reading::Reading(Registry& registry, Type type, const Description& description, Read read)
    : Metric(registry, type, description.name, description.help),
      labels_(LabelText(description)),
      read_(std::move(read)) {
  Register();
}

Registry::Registry()
    : folded_(std::make_unique<Counter>(
          *this, Description{.name = "heddle_metrics_series_folded",
                             .help = "Label sets counted as \"other\" because their metric had no room for more."})) {}

Registry::~Registry() {
  folded_.reset();
  CHECK(metrics_.empty());
}

std::string Registry::Expose() const {
  std::map<std::string_view, Family> families;
  std::string out;
  const std::lock_guard lock(mutex_);
  for (const Metric* metric : metrics_) {
    Family& family = families.try_emplace(metric->name_, Family{metric->type_, metric->help_, {}}).first->second;
    CHECK(family.type == metric->type_);
    metric->Visit([&family](std::string_view labels, uint64_t value) {
      const auto found = family.series.find(labels);
      if (found != family.series.end()) {
        found->second += value;
      } else {
        family.series.emplace(labels, value);
      }
    });
  }
  for (const auto& [name, family] : families) AppendFamily(name, family, out);
  out += "# EOF\n";
  return out;
}

}  // namespace heddle::metrics
