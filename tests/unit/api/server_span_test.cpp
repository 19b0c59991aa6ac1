#include "api/server_span.h"

#include <gtest/gtest.h>

#include "support/recorded_spans.h"

namespace millrace::api {
namespace {

using support::attribute;
using telemetry::SpanKind;

class ServerSpanTest : public testing::Test {
 protected:
  ServerSpan start(std::string_view method, std::string_view route, std::string_view path) {
    return {spans_.tracer(), *telemetry::sampled_context(support::kTraceparent), method, route, path};
  }
  telemetry::Span recorded() {
    auto spans = spans_.take();
    EXPECT_EQ(spans.size(), 1U);
    return spans.empty() ? telemetry::Span{} : spans.front();
  }

  support::RecordedSpans spans_;
};

TEST_F(ServerSpanTest, IsNamedByTheRouteAndIsTheParentOfWhatTheRequestCauses) {
  ServerSpan span = start("POST", "/api/orders", "/api/orders");
  const std::string passed_on = span.traceparent();
  span.end(201);
  const auto recorded = this->recorded();
  EXPECT_EQ(recorded.name, "POST /api/orders");
  EXPECT_EQ(recorded.kind, SpanKind::kServer);
  EXPECT_TRUE(support::is_child_of_client(recorded));
  EXPECT_EQ(passed_on, "00-4bf92f3577b34da6a3ce929d0e0e4736-" + recorded.context.span_id + "-01");
  EXPECT_LE(recorded.start, recorded.end);
  EXPECT_EQ(attribute(recorded, "http.request.method"), "POST");
  EXPECT_EQ(attribute(recorded, "http.route"), "/api/orders");
  EXPECT_EQ(attribute(recorded, "http.response.status_code"), "201");
  EXPECT_EQ(recorded.error_type, "");
}

TEST_F(ServerSpanTest, IsAnErrorWhenTheServerIsAtFault) {
  start("GET", "/api/orders/{id}", "/api/orders/1").end(503);
  EXPECT_EQ(recorded().error_type, "503");
  start("GET", "/api/orders/{id}", "/api/orders/1").end(404);
  EXPECT_EQ(recorded().error_type, "");
}

TEST_F(ServerSpanTest, EndsOnce) {
  ServerSpan span = start("GET", "/healthz", "/healthz");
  span.end(200);
  span.end(500);
  EXPECT_EQ(attribute(recorded(), "http.response.status_code"), "200");
}

TEST_F(ServerSpanTest, BoundsWhatAClientMakesUp) {
  start("BREW", "", "/" + std::string(10'000, 'x')).end(405);
  const auto span = recorded();
  EXPECT_EQ(span.name, "HTTP");
  EXPECT_EQ(attribute(span, "http.request.method"), "_OTHER");
  EXPECT_EQ(attribute(span, "http.route"), "-");
  EXPECT_EQ(attribute(span, "url.path"), "/" + std::string(199, 'x') + "…");
}

}  // namespace
}  // namespace millrace::api
