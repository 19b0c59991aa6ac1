// Measurements of a moment, for whoever shows them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace millrace::ports {

enum class MetricKind {
  kCounter,  ///< Only grows while the process lives; its name ends in _total.
  kGauge,
};

struct MetricSample {
  double value = 0;
  std::vector<std::pair<std::string, std::string>> labels = {};
};

/// What is not known at the moment has no sample.
struct MetricFamily {
  std::string name;  ///< By Prometheus' conventions: millrace_…, base units, unit last.
  std::string help;
  MetricKind kind = MetricKind::kGauge;
  std::vector<MetricSample> samples = {};
};

}  // namespace millrace::ports
