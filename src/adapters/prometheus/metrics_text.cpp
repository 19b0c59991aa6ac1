#include "adapters/prometheus/metrics_text.h"

#include <vector>

#include <prometheus/text_serializer.h>

namespace millrace::adapters::prometheus {

std::string to_metrics_text(std::span<const ports::MetricFamily> families) {
  std::vector<::prometheus::MetricFamily> all;
  all.reserve(families.size());
  for (const ports::MetricFamily& family : families) {
    if (family.samples.empty()) continue;
    const bool counts = family.kind == ports::MetricKind::kCounter;
    ::prometheus::MetricFamily made;
    made.name = family.name;
    made.help = family.help;
    made.type = counts ? ::prometheus::MetricType::Counter : ::prometheus::MetricType::Gauge;
    for (const ports::MetricSample& sample : family.samples) {
      ::prometheus::ClientMetric metric;
      for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
      (counts ? metric.counter.value : metric.gauge.value) = sample.value;
      made.metric.push_back(std::move(metric));
    }
    all.push_back(std::move(made));
  }
  return ::prometheus::TextSerializer().Serialize(all);
}

}  // namespace millrace::adapters::prometheus
