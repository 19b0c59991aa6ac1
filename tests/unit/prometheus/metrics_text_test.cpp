#include "adapters/prometheus/metrics_text.h"

#include <gtest/gtest.h>

namespace millrace::adapters::prometheus {
namespace {

using ports::MetricKind;

TEST(MetricsText, IsWhatPrometheusReads) {
  const std::vector<ports::MetricFamily> families{
      {"millrace_rows_total", "Rows.", MetricKind::kCounter, {{12'345'678'901.0, {}}}},
      {"millrace_lag_records",
       "Lag.",
       MetricKind::kGauge,
       {{0, {{"stage", "a"}}}, {2.5, {{"stage", "b\"\\\n"}}}}}};
  EXPECT_EQ(to_metrics_text(families),
            "# HELP millrace_rows_total Rows.\n"
            "# TYPE millrace_rows_total counter\n"
            "millrace_rows_total 12345678901\n"
            "# HELP millrace_lag_records Lag.\n"
            "# TYPE millrace_lag_records gauge\n"
            "millrace_lag_records{stage=\"a\"} 0\n"
            "millrace_lag_records{stage=\"b\\\"\\\\\\n\"} 2.5\n");
}

TEST(MetricsText, LeavesOutWhatIsNotKnown) {
  const std::vector<ports::MetricFamily> families{{"millrace_open", "Open.", MetricKind::kGauge, {}}};
  EXPECT_EQ(to_metrics_text(families), "");
}

}  // namespace
}  // namespace millrace::adapters::prometheus
