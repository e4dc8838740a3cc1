#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Prometheus metrics, exposed as OpenMetrics text 1.0 (github.com/OpenObservability/OpenMetrics).
//
// A metric is a member of the object that it measures: declared once in its constructor, gone with it. Several
// objects may declare the same name (one per worker, say): the exposition adds up what has the same labels. Writers
// only do relaxed atomic additions; the registry's mutex is taken when a metric comes or goes and while the text is
// written, never to count.
namespace heddle::metrics {

enum class Type : uint8_t { kCounter, kGauge };

struct Description {
  std::string_view name;  // Without "_total": the exposition adds it to counters.
  std::string_view help;  // A sentence.
  std::vector<std::pair<std::string_view, std::string_view>> labels = {};  // The same for the metric's whole life.
};

// `name="value"` with the value escaped, preceded by a comma if `out` is not empty.
void AppendLabel(std::string_view name, std::string_view value, std::string& out);

class Registry;

// One declaration of a metric. A base for the classes below and in series.h.
class Metric {
 public:
  Metric(const Metric&) = delete;
  Metric& operator=(const Metric&) = delete;

 protected:
  // Receives the text inside the braces, and the value (a gauge's as two's complement).
  using Visitor = absl::FunctionRef<void(std::string_view labels, uint64_t value)>;

  Metric(Registry& registry, Type type, std::string_view name, std::string_view help);
  virtual ~Metric() = default;

  // For the most derived class: Register() as the last act of its constructor, Unregister() as the first of its
  // destructor.
  void Register();
  void Unregister();
  // Called by the thread that writes the exposition, while others count.
  virtual void Visit(Visitor visit) const = 0;

  Registry& registry_;

 private:
  friend class Registry;
  const Type type_;
  const std::string name_;
  const std::string help_;
};

// A number that only grows. Add from any thread; cheapest when one thread does.
class Counter final : public Metric {
 public:
  Counter(Registry& registry, const Description& description);
  ~Counter() override { Unregister(); }
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  void Visit(Visitor visit) const override { visit(labels_, value()); }

  std::string labels_;
  std::atomic<uint64_t> value_ = 0;
};

// A number that goes up and down. Any thread.
class Gauge final : public Metric {
 public:
  Gauge(Registry& registry, const Description& description);
  ~Gauge() override { Unregister(); }
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  void Visit(Visitor visit) const override { visit(labels_, static_cast<uint64_t>(value())); }

  std::string labels_;
  std::atomic<int64_t> value_ = 0;
};

// A number that somebody else keeps: `read` is called by the thread that writes the exposition, at any time until this
// goes. Of a gauge it is taken as two's complement.
class Reading final : public Metric {
 public:
  using Read = absl::AnyInvocable<uint64_t() const>;
  Reading(Registry& registry, Type type, const Description& description, Read read);
  ~Reading() override { Unregister(); }

 private:
  void Visit(Visitor visit) const override { visit(labels_, read_()); }

  std::string labels_;
  Read read_;
};

// All metrics of a process: made by main, passed down, outlives them. Thread-safe.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The content type of Expose(), for HTTP.
  static constexpr std::string_view kContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

  // Families in order of name, series in order of labels, ending with "# EOF". May take milliseconds with tens of
  // thousands of series: run it on a helper thread.
  std::string Expose() const;

  // Times that a label set was folded into "other" because its family was full (series.h).
  Counter& folded() { return *folded_; }

 private:
  friend class Metric;
  mutable std::mutex mutex_;
  std::vector<const Metric*> metrics_;
  std::unique_ptr<Counter> folded_;
};

}  // namespace heddle::metrics
