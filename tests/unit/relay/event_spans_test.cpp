#include "relay/event_spans.h"

#include <gtest/gtest.h>

#include "support/recorded_spans.h"

namespace millrace::relay {
namespace {

using support::attribute;

ports::OutboxRow row_with(std::string payload) {
  ports::OutboxRow row;
  row.id = 7;
  row.aggregate_id = "order-1";
  row.aggregate_type = "Order";
  row.event_type = "OrderCreated";
  row.payload = std::move(payload);
  row.created_at = base::utc_from_ms(1'700'000'000'123);
  return row;
}

TEST(EventSpans, FindTheTraceparentWithoutReadingTheEvent) {
  EXPECT_EQ(traceparent_in(R"({"a":1,"traceparent":"00-x","b":2})"), "00-x");
  EXPECT_EQ(traceparent_in("{\"a\": 1, \"traceparent\" : \"00-x\"}"), "00-x") << "as MySQL writes it";
  EXPECT_EQ(traceparent_in(R"({"a":"traceparent","traceparent":"00-x"})"), "00-x") << "a value is no key";
  EXPECT_EQ(traceparent_in(R"({"address":"\"traceparent\":\"00-y\"","traceparent":"00-x"})"), "00-x");
  EXPECT_EQ(traceparent_in(R"({"address":"\"traceparent\":\"00-y\""})"), "");
  for (const char* none :
       {"", "{}", R"({"a":1})", R"({"traceparent":null})", R"({"traceparent":)", R"("traceparent")"})
    EXPECT_EQ(traceparent_in(none), "") << none;
  EXPECT_EQ(traceparent_in(R"({"traceparent":"00-x)"), "00-x")
      << "cut off; the parser of traceparents refuses it";
}

TEST(EventSpans, GoFromTheRowToTheAcknowledgement) {
  support::RecordedSpans recorded;
  std::vector<telemetry::Span> spans;
  add_span(recorded.tracer(), row_with(R"({"traceparent":")" + std::string(support::kTraceparent) + "\"}"),
           "order.events", spans);
  EXPECT_TRUE(recorded.take().empty()) << "before the log has the event";
  record_acknowledged(recorded.tracer(), std::move(spans));
  const auto sent = recorded.take();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].name, "relay");
  EXPECT_EQ(sent[0].kind, telemetry::SpanKind::kProducer);
  EXPECT_TRUE(support::is_child_of_client(sent[0]));
  EXPECT_EQ(sent[0].start.time_since_epoch(), std::chrono::milliseconds(1'700'000'000'123));
  EXPECT_GT(sent[0].end, sent[0].start);
  EXPECT_EQ(attribute(sent[0], "millrace.event.id"), "7");
  EXPECT_EQ(attribute(sent[0], "millrace.order.id"), "order-1");
  EXPECT_EQ(attribute(sent[0], "messaging.destination.name"), "order.events");
}

TEST(EventSpans, AreNotMadeForOtherEventsAndNotWithoutATracer) {
  support::RecordedSpans recorded;
  std::vector<telemetry::Span> spans;
  add_span(recorded.tracer(), row_with("{}"), "order.events", spans);
  add_span(recorded.tracer(), row_with(R"({"traceparent":")" + std::string(support::kUnsampled) + "\"}"),
           "order.events", spans);
  add_span({}, row_with(R"({"traceparent":")" + std::string(support::kTraceparent) + "\"}"), "order.events",
           spans);
  EXPECT_TRUE(spans.empty());
}

}  // namespace
}  // namespace millrace::relay
