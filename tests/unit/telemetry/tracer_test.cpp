#include "telemetry/tracer.h"

#include <thread>

#include <gtest/gtest.h>

namespace millrace::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kSampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view kNotSampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

Span span_named(std::string name) {
  return child_of(*sampled_context(kSampled), std::move(name), SpanKind::kInternal);
}

std::vector<std::string> names(const std::vector<Span>& spans) {
  std::vector<std::string> all;
  for (const Span& span : spans) all.push_back(span.name);
  return all;
}

class SpanRecorderTest : public testing::Test {
 protected:
  [[nodiscard]] bool dropped(int count) {
    return registry_.text().find("millrace_otlp_spans_dropped_total " + std::to_string(count) + "\n") !=
           std::string::npos;
  }

  Registry registry_;
  SpanRecorder recorder_{3, registry_.counter("millrace_otlp_spans_dropped_total")};
};

TEST_F(SpanRecorderTest, DropsAndCountsWhatIsBeyondItsBound) {
  for (const char* name : {"1", "2", "3", "4", "5"}) recorder_.record(span_named(name));
  EXPECT_TRUE(dropped(2));
  EXPECT_EQ(names(recorder_.take(2, base::Deadline::in(60s))), (std::vector<std::string>{"1", "2"}));
  recorder_.record(span_named("6"));
  EXPECT_EQ(names(recorder_.take(2, base::Deadline::in(60s))), (std::vector<std::string>{"3", "6"}));
  EXPECT_TRUE(dropped(2));
}

TEST_F(SpanRecorderTest, GivesFewerThanABatchWhenTheTimeIsOver) {
  recorder_.record(span_named("1"));
  EXPECT_EQ(names(recorder_.take(2, base::Deadline::in(1ms))), (std::vector<std::string>{"1"}));
  EXPECT_TRUE(recorder_.take(2, base::Deadline::in(1ms)).empty());
}

TEST_F(SpanRecorderTest, WakesWhoWaitsWhenABatchIsThere) {
  std::vector<Span> taken;
  std::thread waiting([&] { taken = recorder_.take(2, base::Deadline::in(60s)); });
  const auto begun = std::chrono::steady_clock::now();
  recorder_.record(span_named("1"));
  recorder_.record(span_named("2"));
  waiting.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 30s);
  EXPECT_EQ(names(taken), (std::vector<std::string>{"1", "2"}));
}

TEST_F(SpanRecorderTest, TakesNothingMoreOnceItIsClosedAndGivesWhatItHas) {
  recorder_.record(span_named("1"));
  recorder_.close();
  recorder_.record(span_named("2"));
  EXPECT_TRUE(dropped(1));
  EXPECT_EQ(names(recorder_.take(2, base::Deadline::in(60s))), (std::vector<std::string>{"1"}));
  EXPECT_TRUE(recorder_.take(2, base::Deadline::in(60s)).empty());
}

TEST_F(SpanRecorderTest, GetsSpansByAHandle) {
  const Tracer tracer(recorder_);
  const auto parent = tracer.sampled(kSampled);
  ASSERT_TRUE(parent);
  tracer.record(child_of(*parent, "relay", SpanKind::kProducer));
  const auto spans = recorder_.take(1, base::Deadline::in(60s));
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].context.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(spans[0].parent_span_id, "00f067aa0ba902b7");
  EXPECT_EQ(spans[0].context.span_id.size(), 16U);
  EXPECT_NE(spans[0].context.span_id, spans[0].parent_span_id);
  EXPECT_FALSE(tracer.sampled(kNotSampled));
  EXPECT_FALSE(tracer.sampled(""));
  EXPECT_FALSE(tracer.sampled("00-zz-1-01"));
}

TEST(Tracer, DoesNothingWithoutARecorder) {
  const Tracer tracer;
  EXPECT_FALSE(tracer.is_on());
  EXPECT_FALSE(tracer.sampled(kSampled));
  tracer.record(span_named("nobody's"));
}

}  // namespace
}  // namespace millrace::telemetry
