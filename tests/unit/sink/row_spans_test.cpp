#include "sink/row_spans.h"

#include <gtest/gtest.h>

#include "support/recorded_spans.h"

namespace millrace::sink {
namespace {

domain::AnalyticsRow row_with(std::string_view traceparent) {
  domain::AnalyticsRow row;
  row.event_id = domain::EventId(7);
  row.order_id = domain::OrderId("order-1");
  row.traceparent = traceparent;
  row.transformed_at = base::utc_from_ms(1'000);
  return row;
}

TEST(RowSpans, GoFromTheRowsBeingMadeToItsBeingVisible) {
  support::RecordedSpans recorded;
  record_visible(recorded.tracer(), row_with(support::kTraceparent), base::utc_from_ms(1'250));
  record_visible(recorded.tracer(), row_with(support::kUnsampled), base::utc_from_ms(1'250));
  record_visible(recorded.tracer(), row_with(""), base::utc_from_ms(1'250));
  record_visible({}, row_with(support::kTraceparent), base::utc_from_ms(1'250));
  const auto spans = recorded.take();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].name, "sink");
  EXPECT_EQ(spans[0].kind, telemetry::SpanKind::kConsumer);
  EXPECT_TRUE(support::is_child_of_client(spans[0]));
  EXPECT_EQ(spans[0].end - spans[0].start, std::chrono::milliseconds(250));
  EXPECT_EQ(support::attribute(spans[0], "millrace.event.id"), "7");
  EXPECT_EQ(support::attribute(spans[0], "millrace.order.id"), "order-1");
}

}  // namespace
}  // namespace millrace::sink
