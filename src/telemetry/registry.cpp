#include "telemetry/registry.h"

#include <algorithm>
#include <map>
#include <mutex>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/assert.h"
#include "telemetry/definitions.h"

namespace millrace::telemetry {

void Counter::add(double amount) const {
  if (metric_ != nullptr) metric_->Increment(amount);
}

void Histogram::observe(double value) const {
  if (metric_ != nullptr) metric_->Observe(value);
}

class Registry::Impl {
 public:
  static std::map<std::string, std::string> map_of(const Labels& labels) {
    return {labels.begin(), labels.end()};
  }

  prometheus::Registry metrics{prometheus::Registry::InsertBehavior::Merge};
  std::mutex mutex;
  std::vector<std::function<Samples()>> collectors;  // guarded by mutex
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter Registry::counter(std::string_view name, const Labels& labels) {
  const Definition& definition = definition_of(name);
  MILLRACE_ASSERT(definition.kind == Kind::kCounter);
  return Counter(prometheus::BuildCounter()
                     .Name(std::string(name))
                     .Help(std::string(definition.help))
                     .Register(impl_->metrics)
                     .Add(Impl::map_of(labels)));
}

Histogram Registry::histogram(std::string_view name, const Labels& labels) {
  const Definition& definition = definition_of(name);
  MILLRACE_ASSERT(definition.kind == Kind::kHistogram);
  const auto bounds = bounds_of(definition.buckets);
  return Histogram(
      prometheus::BuildHistogram()
          .Name(std::string(name))
          .Help(std::string(definition.help))
          .Register(impl_->metrics)
          .Add(Impl::map_of(labels), prometheus::Histogram::BucketBoundaries(bounds.begin(), bounds.end())));
}

void Registry::add_collector(std::function<Samples()> collect) {
  const std::lock_guard lock(impl_->mutex);
  impl_->collectors.push_back(std::move(collect));
}

std::string Registry::text() {
  std::vector<std::function<Samples()>> collectors;
  {
    const std::lock_guard lock(impl_->mutex);
    collectors = impl_->collectors;
  }
  std::map<std::string_view, prometheus::MetricFamily> collected;
  for (const auto& collect : collectors) {
    for (const Sample& sample : collect()) {
      const Definition& definition = definition_of(sample.name);
      MILLRACE_ASSERT(definition.kind != Kind::kHistogram);
      const bool counts = definition.kind == Kind::kCounter;
      prometheus::MetricFamily& family = collected[definition.name];
      family.name = definition.name;
      family.help = definition.help;
      family.type = counts ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      prometheus::ClientMetric metric;
      for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
      (counts ? metric.counter.value : metric.gauge.value) = sample.value;
      family.metric.push_back(std::move(metric));
    }
  }
  std::vector<prometheus::MetricFamily> all = impl_->metrics.Collect();
  for (auto& [name, family] : collected) all.push_back(std::move(family));
  std::ranges::sort(all, {}, &prometheus::MetricFamily::name);
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace millrace::telemetry
