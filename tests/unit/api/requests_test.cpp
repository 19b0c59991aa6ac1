#include "api/requests.h"

#include <gtest/gtest.h>

namespace millrace::api {
namespace {

using domain::Money;
using domain::OrderStatus;
using domain::PaymentStatus;

TEST(PlaceOrderRequest, ReadsAllMembers) {
  const auto order = parse_place_order(
      R"({"userId":"user-1","items":[{"productId":"prod-1","quantity":2,"price":1299.99},{"productId":"prod-2","quantity":1}],
          "shippingAddress":"Main St 1","status":"processing","paymentMethod":"paypal","totalAmount":2629.97,"unknown":{"a":[1]}})",
      "trace");
  ASSERT_TRUE(order) << order.error().message;
  EXPECT_EQ(order->user_id.value(), "user-1");
  ASSERT_EQ(order->items.size(), 2U);
  EXPECT_EQ(order->items[0].product_id.value(), "prod-1");
  EXPECT_EQ(order->items[0].quantity, 2);
  EXPECT_EQ(order->items[0].expected_price, Money::from_cents(129'999));
  EXPECT_EQ(order->items[1].expected_price, std::nullopt);
  EXPECT_EQ(order->shipping_address, "Main St 1");
  EXPECT_EQ(order->status, OrderStatus::kPreparing);
  EXPECT_EQ(order->payment_method, domain::PaymentMethod::kPaypal);
  EXPECT_EQ(order->expected_total, Money::from_cents(262'997));
  EXPECT_EQ(order->traceparent, "trace");
}

TEST(PlaceOrderRequest, LeavesAbsentAndNullMembersToTheDefaults) {
  const auto order = parse_place_order(
      R"({"userId":"u","items":[{"productId":"p","quantity":1,"price":null}],"shippingAddress":null,"status":null,"totalAmount":null})",
      "");
  ASSERT_TRUE(order) << order.error().message;
  EXPECT_EQ(order->status, std::nullopt);
  EXPECT_EQ(order->payment_method, std::nullopt);
  EXPECT_EQ(order->expected_total, std::nullopt);
  EXPECT_EQ(order->items[0].expected_price, std::nullopt);
}

TEST(PlaceOrderRequest, SaysWhatIsWrong) {
  struct Case {
    std::string_view body;
    std::string_view says;
  };
  for (const Case& one : {
           Case{"", "empty"},
           Case{"  \n", "empty"},
           Case{"{", "not valid JSON"},
           Case{"[]", "must be a JSON object"},
           Case{"42", "must be a JSON object"},
           Case{"{} {}", "not valid JSON"},
           Case{R"({"items":[]})", "'userId' must be a string"},
           Case{R"({"userId":7,"items":[]})", "'userId' must be a string"},
           Case{R"({"userId":"","items":[]})", "'userId' must have 1 to 36 characters"},
           Case{R"({"userId":"1234567890123456789012345678901234567","items":[]})",
                "'userId' must have 1 to 36"},
           Case{R"({"userId":"a\u0000b","items":[]})", "control character"},
           Case{R"({"userId":"u"})", "'items' must be an array"},
           Case{R"({"userId":"u","items":{}})", "'items' must be an array"},
           Case{R"({"userId":"u","items":[]})", "'items' must have 1 to 2000 items"},
           Case{R"({"userId":"u","items":["p"]})", "items[0]: must be an object"},
           Case{R"({"userId":"u","items":[{"quantity":1}]})", "items[0]: 'productId' must be a string"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1},{"productId":"p"}]})",
                "items[1]: 'quantity' must be a whole number"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":0}]})",
                "'quantity' must be from 1 to 1000000"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":-1}]})",
                "'quantity' must be from 1 to 1000000"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1.5}]})",
                "'quantity' must be a whole number"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":"1"}]})",
                "'quantity' must be a whole number"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":true}]})",
                "'quantity' must be a whole number"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1000001}]})",
                "'quantity' must be from"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":9223372036854775808}]})",
                "'quantity' must be from"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1e30}]})", "'quantity' must be from"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":99999999999999999999999999}]})",
                "'quantity' must be from"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1,"price":"9.99"}]})",
                "'price' must be a number"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1,"price":-1}]})",
                "'price' must not be negative"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1,"price":1e300}]})", "'price'"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1}],"totalAmount":1.005})",
                "'totalAmount'"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1}],"totalAmount":[]})",
                "'totalAmount' must be a number"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1}],"status":"LOST"})", "'status'"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1}],"status":1})",
                "'status' must be a string"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1}],"paymentMethod":"BARTER"})",
                "'paymentMethod'"},
           Case{R"({"userId":"u","items":[{"productId":"p","quantity":1}],"shippingAddress":5})",
                "'shippingAddress' must be a string"},
           Case{"{\"userId\":\"\xff\",\"items\":[]}", "not valid JSON"},
       }) {
    const auto order = parse_place_order(one.body, "");
    ASSERT_FALSE(order) << one.body;
    EXPECT_EQ(order.error().kind, base::ErrorKind::kInvalid) << one.body;
    EXPECT_NE(order.error().message.find(one.says), std::string::npos)
        << one.body << " -> " << order.error().message;
  }
}

TEST(PlaceOrderRequest, RefusesTooMuchOfAGoodThing) {
  std::string items = R"({"productId":"p","quantity":1})";
  for (int i = 0; i < 2000; ++i) items += R"(,{"productId":"p","quantity":1})";
  EXPECT_FALSE(parse_place_order(R"({"userId":"u","items":[)" + items + "]}", ""));
  EXPECT_FALSE(
      parse_place_order(R"({"userId":"u","items":[{"productId":"p","quantity":1}],"shippingAddress":")" +
                            std::string(1001, 'a') + "\"}",
                        ""));
  EXPECT_FALSE(parse_place_order(std::string(100'000, '['), ""));
}

TEST(PaymentRequest, ReadsItsMembersAndRefusesOtherStates) {
  const auto payment =
      parse_payment(R"({"orderId":"o","status":"failed","amount":10.5,"method":"CASH"})", "00-trace");
  ASSERT_TRUE(payment) << payment.error().message;
  EXPECT_EQ(payment->order_id.value(), "o");
  EXPECT_EQ(payment->status, PaymentStatus::kFailed);
  EXPECT_EQ(payment->amount, Money::from_cents(1050));
  EXPECT_EQ(parse_payment(R"({"orderId":"o"})", "")->status, PaymentStatus::kCompleted);
  EXPECT_FALSE(parse_payment(R"({"orderId":"o","status":"REFUNDED"})", ""));
  EXPECT_FALSE(parse_payment(R"({"status":"COMPLETED"})", ""));
}

TEST(SetStockRequest, TakesWholeNumbersFromNought) {
  EXPECT_EQ(parse_set_stock("prod-1", R"({"quantity":0})")->quantity, 0);
  EXPECT_EQ(parse_set_stock("prod-1", R"({"quantity":250})")->product_id.value(), "prod-1");
  for (const std::string_view bad :
       {R"({"quantity":-1})", R"({"quantity":1000000001})", R"({"quantity":"5"})", "{}", "5"})
    EXPECT_FALSE(parse_set_stock("prod-1", bad)) << bad;
}

TEST(AdminId, MustBeThereAndPlain) {
  EXPECT_EQ(parse_admin_id("  admin-7 "), "admin-7");
  for (const std::string_view bad : {"", "  ", "a\tb", "a\x01", "\xff"})
    EXPECT_FALSE(parse_admin_id(bad)) << bad;
  EXPECT_FALSE(parse_admin_id(std::nullopt));
  EXPECT_TRUE(parse_admin_id(std::string(100, 'a')));
  EXPECT_FALSE(parse_admin_id(std::string(101, 'a')));
}

ports::HttpRequest with_query(std::vector<std::pair<std::string, std::string>> query) {
  ports::HttpRequest request;
  request.query = std::move(query);
  return request;
}

TEST(SalesRange, ReadsDaysAndLimit) {
  const auto range =
      parse_sales_range(with_query({{"startDate", "2026-01-31"}, {"endDate", "2026-02-01"}, {"limit", "7"}}));
  ASSERT_TRUE(range) << range.error().message;
  EXPECT_EQ(range->first_day, std::chrono::sys_days(std::chrono::year(2026) / 1 / 31));
  EXPECT_EQ(range->last_day, std::chrono::sys_days(std::chrono::year(2026) / 2 / 1));
  EXPECT_EQ(range->rows_max, 7U);
  const auto open = parse_sales_range(with_query({}));
  ASSERT_TRUE(open);
  EXPECT_EQ(open->first_day, std::nullopt);
  EXPECT_EQ(open->rows_max, 1000U);
}

TEST(SalesRange, RefusesWhatIsNoDayOrNoLimit) {
  for (const auto& bad : std::vector<std::vector<std::pair<std::string, std::string>>>{
           {{"startDate", "yesterday"}},
           {{"startDate", "2026-02-30"}},
           {{"endDate", "2026-1-1"}},
           {{"endDate", "2026-01-01' OR 1"}},
           {{"limit", "0"}},
           {{"limit", "-1"}},
           {{"limit", "10001"}},
           {{"limit", "ten"}},
           {{"limit", "1e3"}},
           {{"limit", "99999999999999999999"}},
           {{"startDate", "2026-02-02"}, {"endDate", "2026-02-01"}}})
    EXPECT_FALSE(parse_sales_range(with_query(bad))) << bad[0].first << "=" << bad[0].second;
}

}  // namespace
}  // namespace millrace::api
