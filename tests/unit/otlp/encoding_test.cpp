#include "adapters/otlp/encoding.h"

#include <gtest/gtest.h>

namespace millrace::adapters::otlp {
namespace {

using telemetry::Attribute;
using telemetry::Span;
using telemetry::SpanKind;
using telemetry::SpanTime;

constexpr std::string_view kTraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

Span span() {
  return {.context = {.trace_id = std::string(kTraceId), .span_id = "00f067aa0ba902b7"},
          .parent_span_id = "53ce929d0e0e4736",
          .name = "POST /api/orders",
          .kind = SpanKind::kServer,
          .start = SpanTime(std::chrono::nanoseconds(1'544'712'660'300'000'000)),
          .end = SpanTime(std::chrono::nanoseconds(1'544'712'660'600'000'001)),
          .attributes = {{"http.route", std::string("/api/orders")},
                         {"http.response.status_code", std::int64_t{201}}}};
}

// The names, the integers of enumerations and the strings of 64-bit integers are those of the OTLP
// specification's own example (opentelemetry-proto, examples/trace.json).
TEST(Encoding, IsThatOfOtlpInJson) {
  const std::vector<Attribute> resource = {{"service.name", std::string("millrace")},
                                           {"millrace.role", std::string("up")}};
  const std::vector<Span> spans = {span()};
  EXPECT_EQ(to_request(resource, spans),
            R"({"resourceSpans":[{"resource":{"attributes":[)"
            R"({"key":"service.name","value":{"stringValue":"millrace"}},)"
            R"({"key":"millrace.role","value":{"stringValue":"up"}}]},)"
            R"("scopeSpans":[{"scope":{"name":"millrace"},"spans":[{)"
            R"("traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",)"
            R"("parentSpanId":"53ce929d0e0e4736","name":"POST /api/orders","kind":2,)"
            R"("startTimeUnixNano":"1544712660300000000","endTimeUnixNano":"1544712660600000001",)"
            R"("attributes":[{"key":"http.route","value":{"stringValue":"/api/orders"}},)"
            R"({"key":"http.response.status_code","value":{"intValue":"201"}}]}]}]}]})");
}

TEST(Encoding, SaysWhatFailedAndEscapesText) {
  Span failed = span();
  failed.attributes = {{"url.path", std::string("/\"\n")}};
  failed.error_type = "503";
  const std::string text = to_request({}, std::vector<Span>{failed});
  EXPECT_NE(text.find(R"({"key":"url.path","value":{"stringValue":"/\"\n"}},)"
                      R"({"key":"error.type","value":{"stringValue":"503"}}],"status":{"code":2}})"),
            std::string::npos)
      << text;
}

TEST(Encoding, LetsNoSpanEndBeforeItsStart) {
  Span by_two_clocks = span();
  by_two_clocks.end = by_two_clocks.start - std::chrono::milliseconds(5);
  const std::string text = to_request({}, std::vector<Span>{by_two_clocks});
  EXPECT_NE(text.find(R"("endTimeUnixNano":"1544712660300000000")"), std::string::npos) << text;
}

TEST(Encoding, ReadsHowManySpansWereRejected) {
  EXPECT_EQ(rejected_spans(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})"), 3U);
  EXPECT_EQ(rejected_spans(R"({"partialSuccess":{"rejectedSpans":3}})"), 3U);
  for (const char* none :
       {"", "{}", "[]", "no JSON", R"({"partialSuccess":{}})", R"({"partialSuccess":null})",
        R"({"partialSuccess":{"rejectedSpans":-3}})", R"({"partialSuccess":{"rejectedSpans":"x"}})",
        R"({"partialSuccess":{"rejectedSpans":null}})"})
    EXPECT_EQ(rejected_spans(none), 0U) << none;
}

}  // namespace
}  // namespace millrace::adapters::otlp
