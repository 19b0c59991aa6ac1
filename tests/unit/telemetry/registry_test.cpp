#include "telemetry/registry.h"

#include <gtest/gtest.h>

namespace millrace::telemetry {
namespace {

bool holds(const std::string& text, std::string_view line) {
  return text.find(std::string(line) + "\n") != std::string::npos;
}

TEST(Registry, ShowsCountersHistogramsAndWhatCollectorsKnow) {
  Registry registry;
  registry.counter("millrace_outbox_cleanup_failures_total").add(2);
  const Histogram seconds = registry.histogram("millrace_log_append_duration_seconds", {{"stage", "relay"}});
  seconds.observe(std::chrono::milliseconds(20));
  seconds.observe(0.5);
  registry.add_collector([] {
    return Samples{{"millrace_stage_lag_records", 7, {{"stage", "a \"b\""}}}, {"millrace_relay_active", 1}};
  });
  const std::string text = registry.text();
  EXPECT_TRUE(holds(text, "millrace_outbox_cleanup_failures_total 2")) << text;
  EXPECT_TRUE(holds(text, "# TYPE millrace_log_append_duration_seconds histogram")) << text;
  EXPECT_TRUE(holds(text, R"(millrace_log_append_duration_seconds_bucket{stage="relay",le="0.01"} 0)"))
      << text;
  EXPECT_TRUE(holds(text, R"(millrace_log_append_duration_seconds_bucket{stage="relay",le="0.025"} 1)"))
      << text;
  EXPECT_TRUE(holds(text, R"(millrace_log_append_duration_seconds_count{stage="relay"} 2)")) << text;
  EXPECT_TRUE(holds(text, R"(millrace_stage_lag_records{stage="a \"b\""} 7)")) << text;
  EXPECT_TRUE(holds(text, "# TYPE millrace_relay_active gauge")) << text;
}

TEST(Registry, GivesTheSameMetricForTheSameNameAndLabels) {
  Registry registry;
  registry.counter("millrace_stage_restarts_total", {{"stage", "a"}}).add();
  registry.counter("millrace_stage_restarts_total", {{"stage", "a"}}).add();
  registry.counter("millrace_stage_restarts_total", {{"stage", "b"}}).add();
  const std::string text = registry.text();
  EXPECT_TRUE(holds(text, R"(millrace_stage_restarts_total{stage="a"} 2)")) << text;
  EXPECT_TRUE(holds(text, R"(millrace_stage_restarts_total{stage="b"} 1)")) << text;
}

TEST(Registry, PutsTheSamplesOfSeveralCollectorsIntoOneFamily) {
  Registry registry;
  for (const char* stage : {"relay", "sink"})
    registry.add_collector(
        [stage] { return Samples{{"millrace_stage_lag_records", 1, {{"stage", stage}}}}; });
  const std::string text = registry.text();
  EXPECT_EQ(text.find("# TYPE millrace_stage_lag_records"), text.rfind("# TYPE millrace_stage_lag_records"));
  EXPECT_TRUE(holds(text, R"(millrace_stage_lag_records{stage="sink"} 1)")) << text;
}

TEST(Handles, DoNothingWithoutARegistry) {
  Counter().add();
  Histogram().observe(1.0);
  const Timer timer{Histogram()};
}

}  // namespace
}  // namespace millrace::telemetry
