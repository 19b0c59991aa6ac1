#include "transform/mapping.h"

#include <gtest/gtest.h>

namespace millrace::transform {
namespace {

domain::OrderEvent event_of(domain::OrderEventType type) {
  domain::OrderImage order;
  order.order_id = domain::OrderId("o-1");
  order.user_id = domain::UserId("user-1");
  order.user_email = "a@example.com";
  order.created_at = base::utc_from_ms(1'767'225'600'999);
  order.lines = {{domain::ProductId("p-1"), "P", 3, *domain::Money::parse("0.0125")},
                 {domain::ProductId("p-2"), "Q", 2, *domain::Money::parse("10")}};
  order.total_amount = domain::total_of(order.lines);
  domain::OrderEvent event;
  event.type = type;
  event.version = 77;
  event.occurred_at = base::utc_from_ms(1'767'225'700'500);
  if (type != domain::OrderEventType::kCreated) event.before = order;
  if (type != domain::OrderEventType::kDeleted) event.after = order;
  return event;
}

TEST(Mapping, TakesTheImageAfterAndAddsUpTheLines) {
  const auto row = to_analytics_row(event_of(domain::OrderEventType::kCreated), domain::EventId(5),
                                    base::utc_from_ms(2), base::utc_from_ms(3));
  EXPECT_EQ(row.event_id.value(), 5u);
  EXPECT_EQ(row.version, 77u);
  EXPECT_EQ(row.current.items_count, 5);
  EXPECT_EQ(row.current.total_amount.text2(), "20.04");
  EXPECT_EQ(row.current.items[0].revenue.text4(), "0.0375");
  EXPECT_EQ(base::to_ms(row.current.order_date), 1'767'225'600'000);
  EXPECT_FALSE(row.before);
  EXPECT_FALSE(row.deleted_at);
}

TEST(Mapping, ADeletionRepeatsTheOrderAsItWasAndSubtractsIt) {
  const auto row = to_analytics_row(event_of(domain::OrderEventType::kDeleted), domain::EventId(6),
                                    base::utc_from_ms(2), base::utc_from_ms(3));
  EXPECT_TRUE(row.is_deleted());
  EXPECT_EQ(row.before, row.current);
  EXPECT_EQ(base::to_ms(*row.deleted_at), 1'767'225'700'000);
}

TEST(Mapping, SurvivesTheWayThroughTheLog) {
  for (const auto type : {domain::OrderEventType::kCreated, domain::OrderEventType::kStatusChanged,
                          domain::OrderEventType::kDeleted}) {
    const auto row =
        to_analytics_row(event_of(type), domain::EventId(6), base::utc_from_ms(2), base::utc_from_ms(3));
    const auto back = domain::parse_analytics_row(domain::to_json(row));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, row);
  }
}

}  // namespace
}  // namespace millrace::transform
