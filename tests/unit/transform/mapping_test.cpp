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

TEST(Mapping, MakesARowThatTheWarehouseTakesOfEveryEventThatCanBeRead) {
  const auto survives = [](const domain::OrderEvent& event) {
    const auto read = domain::parse_order_event(domain::to_json(event));
    if (!read) return false;
    const auto row = to_analytics_row(*read, domain::EventId(1), base::utc_from_ms(2), base::utc_from_ms(3));
    const auto back = domain::parse_analytics_row(domain::to_json(row));
    EXPECT_TRUE(back) << back.error().message;
    return true;
  };
  const auto with = [&](const auto& change) {
    auto event = event_of(domain::OrderEventType::kCreated);
    change(*event.after);
    return survives(event);
  };
  const auto made_at = [&](std::int64_t ms) {
    return with([&](domain::OrderImage& order) { order.created_at = base::utc_from_ms(ms); });
  };
  EXPECT_TRUE(made_at(0));
  EXPECT_TRUE(made_at(4'294'967'295'999));
  EXPECT_FALSE(made_at(-1));
  EXPECT_FALSE(made_at(4'294'967'296'000));

  const auto sells = [&](std::string_view price, std::int64_t quantity) {
    return with([&](domain::OrderImage& order) {
      order.lines = {{domain::ProductId("p"), "P", quantity, *domain::Money::parse(price)}};
      order.total_amount = domain::Money::from_cents(1);
    });
  };
  EXPECT_TRUE(sells("9999.9999", 1'000'000));
  EXPECT_FALSE(sells("10000", 1'000'000));
  EXPECT_FALSE(sells("9999999999", 1'000'000));  // 64 bits cannot hold it
  EXPECT_FALSE(sells("-9999999999", 1'000'000));

  const auto named = [&](std::size_t bytes) {
    return with([&](domain::OrderImage& order) { order.user_email = std::string(bytes, 'x'); }) &&
           with([&](domain::OrderImage& order) { order.lines[0].product_name = std::string(bytes, 'x'); });
  };
  EXPECT_TRUE(named(1'020));
  EXPECT_FALSE(named(1'021));

  EXPECT_FALSE(with([](domain::OrderImage& order) {
    order.lines.assign(4'295, {domain::ProductId("p"), "P", 1'000'000, domain::Money::from_units(1)});
  }));

  auto deletion = event_of(domain::OrderEventType::kDeleted);
  EXPECT_TRUE(survives(deletion));
  deletion.occurred_at = base::utc_from_ms(-1);
  EXPECT_FALSE(survives(deletion));
}

}  // namespace
}  // namespace millrace::transform
