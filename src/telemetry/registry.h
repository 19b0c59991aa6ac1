// Measurements, kept for whoever scrapes them: a port over the registry of prometheus-cpp.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Histogram;
}  // namespace prometheus

namespace millrace::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Handles are small, may be copied, and do nothing when nobody gave them a metric: what measures needs no
/// registry. Thread-safe. The registry must outlive them.
class Counter {
 public:
  Counter() = default;
  void add(double amount = 1) const;

 private:
  friend class Registry;
  explicit Counter(prometheus::Counter& metric) : metric_(&metric) {}
  prometheus::Counter* metric_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double value) const;
  void observe(std::chrono::nanoseconds span) const { observe(std::chrono::duration<double>(span).count()); }

 private:
  friend class Registry;
  explicit Histogram(prometheus::Histogram& metric) : metric_(&metric) {}
  prometheus::Histogram* metric_ = nullptr;
};

/// Measures from its making to its end.
class Timer {
 public:
  explicit Timer(Histogram histogram) : histogram_(histogram) {}
  ~Timer() { histogram_.observe(std::chrono::steady_clock::now() - since_); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  Histogram histogram_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

/// What a collector knows at the moment of a scrape.
struct Sample {
  std::string_view name;  ///< Of a counter or a gauge in the table of definitions.
  double value = 0;
  Labels labels = {};
};
using Samples = std::vector<Sample>;

inline constexpr std::string_view kTextContentType = "text/plain; version=0.0.4; charset=utf-8";

/// Thread-safe. Names are those of telemetry/definitions.h; another one is a bug (MILLRACE_ASSERT).
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The same metric for the same name and labels.
  [[nodiscard]] Counter counter(std::string_view name, const Labels& labels = {});
  [[nodiscard]] Histogram histogram(std::string_view name, const Labels& labels = {});
  /// `collect` is called at each scrape, on its thread; it may wait a second for a server, and leaves out
  /// what it does not know. What it uses must outlive the registry's last scrape.
  void add_collector(std::function<Samples()> collect);

  /// All metrics in Prometheus' text format, by name.
  [[nodiscard]] std::string text();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::telemetry
