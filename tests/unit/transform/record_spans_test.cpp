#include "transform/record_spans.h"

#include <gtest/gtest.h>

#include "support/recorded_spans.h"

namespace millrace::transform {
namespace {

using support::attribute;

domain::AnalyticsRow row_with(std::string_view traceparent) {
  domain::AnalyticsRow row;
  row.event_id = domain::EventId(7);
  row.order_id = domain::OrderId("order-1");
  row.traceparent = traceparent;
  return row;
}

TEST(RecordSpans, GoFromTheReadToTheAppend) {
  support::RecordedSpans recorded;
  const auto before = telemetry::span_now();
  RoundSpans round(recorded.tracer());
  std::vector<telemetry::Span> spans;
  for (const std::string_view traceparent : {support::kTraceparent, support::kUnsampled, std::string_view()})
    add_span(recorded.tracer(), row_with(traceparent), {"order.events", 2}, 41, spans);
  round.add(std::move(spans));
  EXPECT_TRUE(recorded.take().empty()) << "before the log has the rows";
  round.end();
  const auto made = recorded.take();
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].name, "transform");
  EXPECT_EQ(made[0].kind, telemetry::SpanKind::kConsumer);
  EXPECT_TRUE(support::is_child_of_client(made[0]));
  EXPECT_LE(before, made[0].start);
  EXPECT_LE(made[0].start, made[0].end);
  EXPECT_EQ(attribute(made[0], "millrace.event.id"), "7");
  EXPECT_EQ(attribute(made[0], "millrace.order.id"), "order-1");
  EXPECT_EQ(attribute(made[0], "messaging.destination.partition.id"), "2");
  EXPECT_EQ(attribute(made[0], "messaging.kafka.offset"), "41");
  round.end();
  EXPECT_TRUE(recorded.take().empty()) << "once";
}

TEST(RecordSpans, AreNoneOfARoundThatFailed) {
  support::RecordedSpans recorded;
  {
    RoundSpans round(recorded.tracer());
    std::vector<telemetry::Span> spans;
    add_span(recorded.tracer(), row_with(support::kTraceparent), {"order.events", 2}, 41, spans);
    round.add(std::move(spans));
  }
  EXPECT_TRUE(recorded.take().empty());
}

TEST(RecordSpans, AreNoneWithoutATracer) {
  std::vector<telemetry::Span> spans;
  add_span({}, row_with(support::kTraceparent), {"order.events", 2}, 41, spans);
  EXPECT_TRUE(spans.empty());
}

}  // namespace
}  // namespace millrace::transform
