#include "api/shapes.h"

#include <gtest/gtest.h>

#include "api/problems.h"

namespace millrace::api {
namespace {

using domain::Money;

base::UtcTime morning() {
  return *base::parse_utc("2026-01-31T09:05:00.123Z");
}

ports::StoredOrder order() {
  ports::StoredOrder stored;
  stored.image.order_id = domain::OrderId("o-1");
  stored.image.user_id = domain::UserId("user-1");
  stored.image.total_amount = Money::from_cents(262'990);
  stored.image.created_at = morning();
  stored.image.lines = {{domain::ProductId("prod-1"), "Lap\"top", 2, Money::from_cents(129'990)},
                        {domain::ProductId("prod-2"), "Pin", 800, Money::from_units(375)}};
  stored.shipping_address = "Main St 1";
  stored.updated_at = morning() + std::chrono::seconds(1);
  return stored;
}

TEST(Shapes, WriteAnOrder) {
  EXPECT_EQ(
      order_json(order()),
      R"({"id":"o-1","orderId":"o-1","userId":"user-1","totalAmount":2629.90,"status":"PENDING","shippingAddress":"Main St 1",)"
      R"("createdAt":"2026-01-31T09:05:00.123Z","updatedAt":"2026-01-31T09:05:01.123Z",)"
      R"("items":[{"productId":"prod-1","productName":"Lap\"top","quantity":2,"price":1299.90},)"
      R"({"productId":"prod-2","productName":"Pin","quantity":800,"price":0.0375}]})");
}

TEST(Shapes, WriteListsAndAbsentTextsAsNull) {
  EXPECT_EQ(orders_json({}), "[]");
  ports::User user;
  user.id = domain::UserId("user-1");
  user.email = "a@b.example";
  user.name = "Ann";
  user.created_at = user.updated_at = base::utc_from_ms(0);
  const std::vector<ports::User> users{user, user};
  const std::string one =
      R"({"id":"user-1","email":"a@b.example","name":"Ann","phone":null,"createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z"})";
  EXPECT_EQ(users_json(users), "[" + one + "," + one + "]");
}

TEST(Shapes, WriteProductsStockAndPayments) {
  ports::Product product;
  product.id = domain::ProductId("prod-1");
  product.name = "Laptop";
  product.price = Money::from_cents(129'999);
  product.category = "Electronics";
  EXPECT_EQ(
      product_json(product),
      R"({"id":"prod-1","name":"Laptop","description":null,"price":1299.99,"category":"Electronics","imageUrl":null,)"
      R"("isActive":true,"createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z"})");
  ports::Stock stock;
  stock.product_id = domain::ProductId("prod-1");
  stock.quantity = 100;
  stock.reserved = 30;
  EXPECT_EQ(
      stock_json(stock),
      R"({"productId":"prod-1","quantity":100,"reserved":30,"available":70,"updatedAt":"1970-01-01T00:00:00.000Z"})");
  EXPECT_EQ(payments_json(order()),
            R"([{"orderId":"o-1","amount":2629.90,"status":"PENDING","method":"CREDIT_CARD",)"
            R"("createdAt":"2026-01-31T09:05:00.123Z","updatedAt":"2026-01-31T09:05:01.123Z"}])");
}

TEST(Shapes, WriteAnalyticsRows) {
  const std::chrono::sys_days day = std::chrono::year(2026) / 1 / 31;
  const std::vector<analytics::DailySales> days{{day, 3, Money::from_cents(1000), Money::from_cents(333), 2}};
  EXPECT_EQ(
      daily_sales_json(days),
      R"([{"order_date":"2026-01-31","order_count":3,"total_revenue":10.00,"avg_order_value":3.33,"unique_customers":2}])");
  const std::vector<analytics::HourlySales> hours{
      {day + std::chrono::hours(9), 3, Money::from_cents(1000), Money::from_cents(333)}};
  EXPECT_EQ(
      hourly_sales_json(hours),
      R"([{"order_hour":"2026-01-31T09:00:00.000Z","order_count":3,"total_revenue":10.00,"avg_order_value":3.33}])");
  const std::vector<analytics::StatusCount> statuses{{day, "SHIPPED", 3, Money::from_cents(1000)}};
  EXPECT_EQ(order_status_json(statuses),
            R"([{"order_date":"2026-01-31","status":"SHIPPED","order_count":3,"total_amount":10.00}])");
  EXPECT_EQ(stats_json({}),
            R"({"total_orders":0,"total_revenue":0.00,"avg_order_value":0.00,"unique_customers":0})");
}

TEST(Analytics, AverageRoundsHalfACentUp) {
  EXPECT_EQ(analytics::average(Money::from_cents(0), 0), Money());
  EXPECT_EQ(analytics::average(Money::from_cents(1000), 3), Money::from_cents(333));
  EXPECT_EQ(analytics::average(Money::from_cents(1001), 2), Money::from_cents(501));
  EXPECT_EQ(analytics::average(Money::from_cents(1003), 4), Money::from_cents(251));
  EXPECT_EQ(analytics::average(Money::from_cents(1001), 4), Money::from_cents(250));
  EXPECT_EQ(analytics::average(Money::from_cents(-1001), 2), Money::from_cents(-501));
}

TEST(Problems, TellTheAskerWhatIsHisToMend) {
  const auto problem =
      problem_of({base::ErrorKind::kInvalid, "'quantity' must be a whole number", 0}, "/api/orders");
  EXPECT_EQ(problem.status, 400);
  EXPECT_EQ(problem.content_type, "application/problem+json");
  EXPECT_EQ(
      problem.body,
      R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"'quantity' must be a whole number","instance":"/api/orders"})");
}

TEST(Problems, KeepInternalsToThemselves) {
  for (const auto kind : {base::ErrorKind::kUnavailable, base::ErrorKind::kFatal}) {
    const auto problem = problem_of({kind, "Access denied for user 'admin'@'10.0.0.7'", 1045}, "/x");
    EXPECT_EQ(problem.body.find("admin"), std::string::npos) << problem.body;
  }
}

TEST(Problems, HaveOneStatusForEachKind) {
  EXPECT_EQ(status_of(base::ErrorKind::kInvalid), 400);
  EXPECT_EQ(status_of(base::ErrorKind::kNotFound), 404);
  EXPECT_EQ(status_of(base::ErrorKind::kConflict), 409);
  EXPECT_EQ(status_of(base::ErrorKind::kRejected), 422);
  EXPECT_EQ(status_of(base::ErrorKind::kFatal), 500);
  const auto away = problem_of({base::ErrorKind::kUnavailable, "", 0}, "");
  EXPECT_EQ(away.status, 503);
  ASSERT_EQ(away.headers.size(), 1U);
  EXPECT_EQ(away.headers[0].first, "Retry-After");
}

}  // namespace
}  // namespace millrace::api
