#include <gtest/gtest.h>

#include "domain/analytics_row.h"
#include "domain/order_event.h"

namespace millrace::domain {
namespace {

OrderImage sample_image() {
  OrderImage image;
  image.order_id = OrderId("019b76da-a800-7000-8000-000000000001");
  image.user_id = UserId("user-1");
  image.user_email = "a\"b@example.com";
  image.total_amount = *Money::parse("1329.98");
  image.status = OrderStatus::kPending;
  image.created_at = base::utc_from_ms(1'767'225'600'007);
  image.lines = {{ProductId("prod-1"), "Laptop", 1, *Money::parse("1299.99")},
                 {ProductId("prod-2"), "Mouse £", 1, *Money::parse("29.99")}};
  return image;
}

TEST(OrderEvent, ComesBackFromItsJson) {
  OrderEvent event;
  event.type = OrderEventType::kStatusChanged;
  event.version = 1'767'225'600'007;
  event.occurred_at = base::utc_from_ms(1'767'225'600'010);
  event.before = sample_image();
  event.after = sample_image();
  event.after->status = OrderStatus::kShipped;
  event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto back = parse_order_event(to_json(event));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->type, event.type);
  EXPECT_EQ(back->version, event.version);
  EXPECT_EQ(back->occurred_at, event.occurred_at);
  EXPECT_EQ(back->before, event.before);
  EXPECT_EQ(back->after, event.after);
  EXPECT_EQ(back->traceparent, event.traceparent);
}

TEST(OrderEvent, CarriesTheMembersThatUsersRelyOn) {
  OrderEvent event;
  event.type = OrderEventType::kDeleted;
  event.version = 12;
  event.before = sample_image();
  event.deleted_by = "admin-1";
  const std::string text = to_json(event);
  for (const char* member :
       {R"("eventType":"OrderDeleted")", R"("orderId":"019b76da-a800-7000-8000-000000000001")",
        R"("deletedBy":"admin-1")", R"("totalAmount":1329.98)", R"("itemsCount":2)", R"("version":12)"})
    EXPECT_NE(text.find(member), std::string::npos) << member << " in " << text;
}

TEST(OrderEvent, RefusesWhatItCannotUse) {
  OrderEvent event;
  event.version = 1;
  event.after = sample_image();
  const std::string good = to_json(event);
  ASSERT_TRUE(parse_order_event(good));
  const auto broken = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto parsed = parse_order_event(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, base::ErrorKind::kRejected);
  };
  broken("OrderCreated", "OrderExploded");
  broken("\"version\":1", "\"version\":0");
  broken("\"after\":", "\"aftermath\":");
  broken("\"quantity\":1", "\"quantity\":0");
  broken("\"quantity\":1", "\"quantity\":\"1\"");
  broken("\"price\":1299.9900", "\"price\":1299.99001");
  EXPECT_FALSE(parse_order_event("[]"));
  EXPECT_FALSE(parse_order_event(good.substr(0, good.size() - 1)));
}

TEST(AnalyticsRow, ComesBackFromItsJson) {
  AnalyticsImage image{UserId("user-1"),
                       "a@example.com",
                       base::utc_from_ms(1'767'225'600'000),
                       *Money::parse("1329.98"),
                       2,
                       OrderStatus::kDelivered,
                       PaymentMethod::kPaypal,
                       PaymentStatus::kCompleted,
                       {{ProductId("prod-1"), "Laptop", 2, *Money::parse("0.1275")}}};
  AnalyticsRow row;
  row.event_id = EventId(77);
  row.order_id = OrderId("o-1");
  row.type = OrderEventType::kDeleted;
  row.version = 5;
  row.current = image;
  row.before = image;
  row.deleted_at = base::utc_from_ms(1'767'225'601'000);
  row.occurred_at = base::utc_from_ms(1);
  row.relayed_at = base::utc_from_ms(2);
  row.transformed_at = base::utc_from_ms(3);
  const auto back = parse_analytics_row(to_json(row));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, row);
}

TEST(AnalyticsRow, TakesEventIdsOfEverySizeThatTheOutboxHas) {
  for (const std::uint64_t id : {std::uint64_t{1}, std::uint64_t{1} << 63U, ~std::uint64_t{0}}) {
    AnalyticsRow row;
    row.event_id = EventId(id);
    row.order_id = OrderId("order-1");
    row.version = 1'767'225'600'007;
    row.current.user_id = UserId("user-1");
    const auto back = parse_analytics_row(to_json(row));
    ASSERT_TRUE(back) << id << ": " << back.error().message;
    EXPECT_EQ(back->event_id, row.event_id);
  }
}

TEST(AnalyticsRow, IgnoresMembersThatItDoesNotKnow) {
  AnalyticsRow row;
  row.event_id = EventId(1);
  row.order_id = OrderId("o-1");
  row.version = 5;
  row.current.user_id = UserId("u");
  std::string text = to_json(row);
  text.insert(1, R"("of_the_future":{"a":[1]},)");
  EXPECT_TRUE(parse_analytics_row(text));
}

TEST(AnalyticsRow, RefusesWhatTheWarehouseCannotHold) {
  OrderImage order = sample_image();
  AnalyticsRow row;
  row.event_id = EventId(1);
  row.order_id = order.order_id;
  row.type = OrderEventType::kDeleted;
  row.version = 1;
  row.current.user_id = order.user_id;
  row.current.items = {{ProductId("p"), "P", 1, *Money::parse("1.5")}};
  row.before = row.current;
  row.deleted_at = base::utc_from_ms(1'000);
  const std::string good = to_json(row);
  ASSERT_TRUE(parse_analytics_row(good)) << parse_analytics_row(good).error().message;
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return parse_analytics_row(text.replace(at, from.size(), to));
  };
  for (const auto& [from, to] : std::vector<std::pair<std::string_view, std::string_view>>{
           {R"("order_date":0)", R"("order_date":-1)"},
           {R"("order_date":0)", R"("order_date":4294967296)"},
           {R"("order_date":0)", R"("order_date":9223372036854775807)"},
           {R"("deleted_at":1)", R"("deleted_at":-1)"},
           {R"("deleted_at":1)", R"("deleted_at":9223372036854775807)"},
           {R"("items_count":0)", R"("items_count":4294967296)"},
           {R"("total_amount":0.00)", R"("total_amount":10000000000)"},
           {R"("revenue":1.5000)", R"("revenue":10000000000)"},
           {R"("quantity":1)", R"("quantity":-1)"},
           {R"("quantity":1)", R"("quantity":9000000000)"},
           {R"("occurred_at_ms":0)", R"("occurred_at_ms":-9223372036854775808)"},
           {R"("version":1)", R"("version":0)"}}) {
    const auto refused = with(from, to);
    ASSERT_FALSE(refused) << to;
    EXPECT_EQ(refused.error().kind, base::ErrorKind::kRejected);
  }
}

}  // namespace
}  // namespace millrace::domain
