#include "domain/order.h"

#include <gtest/gtest.h>

namespace millrace::domain {
namespace {

TEST(OrderStatus, ReadsAnyCaseAndTheTwoAliases) {
  EXPECT_EQ(*parse_order_status("pending"), OrderStatus::kPending);
  EXPECT_EQ(*parse_order_status("Shipped"), OrderStatus::kShipped);
  EXPECT_EQ(*parse_order_status("processing"), OrderStatus::kPreparing);
  EXPECT_EQ(*parse_order_status("COMPLETED"), OrderStatus::kDelivered);
  const auto bad = parse_order_status("lost");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("CANCELLED"), std::string::npos);
}

TEST(OrderStatus, CancelledAndRefundedAreNoSales) {
  EXPECT_FALSE(counts_as_sale(OrderStatus::kCancelled));
  EXPECT_FALSE(counts_as_sale(OrderStatus::kRefunded));
  EXPECT_TRUE(counts_as_sale(OrderStatus::kPending));
}

TEST(Order, TotalIsRoundedOnceOverAllLines) {
  const auto line = [](const char* price, std::int64_t quantity) {
    return OrderLine{ProductId("p"), "P", quantity, *Money::parse(price)};
  };
  // Three lines of 0.005 make 0.015, which rounds to 0.02; rounding each line would make 0.03.
  EXPECT_EQ(total_of({line("0.005", 1), line("0.005", 1), line("0.005", 1)}).text2(), "0.02");
  EXPECT_EQ(total_of({}).text2(), "0.00");
}

TEST(Order, VersionsGrowEvenWhenTheClockGoesBack) {
  EXPECT_EQ(next_version(0, base::utc_from_ms(1000)), 1000u);
  EXPECT_EQ(next_version(1000, base::utc_from_ms(1000)), 1001u);
  EXPECT_EQ(next_version(5000, base::utc_from_ms(1000)), 5001u);
}

}  // namespace
}  // namespace millrace::domain
