#include "tools/online_retail.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

constexpr std::string_view kHeader =
    "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country\n";

base::Result<RetailHistory> read(const std::string& lines, std::string_view header = kHeader) {
  const auto source = bytes_of_text(std::string(header) + lines, 50);
  return read_online_retail(*source);
}

std::string error_of(const std::string& lines, std::string_view header = kHeader) {
  const auto history = read(lines, header);
  return history ? "no error" : history.error().message;
}

std::string line(const std::string& invoice_no, const std::string& code, int quantity,
                 const std::string& date, const std::string& customer = "17850",
                 const std::string& price = "1.00") {
  return invoice_no + "," + code + ",thing," + std::to_string(quantity) + "," + date + " 10:00:00," + price +
         "," + customer + ",United Kingdom\n";
}

Fate fate_of(const RetailHistory& history, std::string_view invoice_no) {
  const auto order = std::ranges::find(history.orders, invoice_no, &RetailOrder::invoice_no);
  if (order == history.orders.end()) throw std::runtime_error("no such order");
  return order->fate;
}

// Orders

TEST(OnlineRetail, MakesAnOrderOfTheUsableLinesOfAnInvoice) {
  const auto history = read(
      "536365,85123a,WHITE HEART,6,2010-12-01 08:27:00,2.55,17850,United Kingdom\n"
      "536365,71053,\" LANTERN, WHITE \",2,2010-12-01 08:26:00,3.395,17850,United Kingdom\n"
      "536365,85123A,other name,1,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
      "536365,D,Discount,-1,2010-12-01 08:26:00,9,17850,United Kingdom\n"
      "536365,FREE,,1,2010-12-01 08:26:00,0,17850,United Kingdom\n");
  ASSERT_TRUE(history.has_value()) << history.error().message;
  ASSERT_EQ(history->orders.size(), 1u);
  const RetailOrder& order = history->orders[0];
  const domain::OrderImage image = retail_image(*history, order);
  EXPECT_EQ(image.order_id.value(), "9e5cfec7-8665-5f24-a1de-8b179663c46d");
  EXPECT_EQ(image.user_id.value(), "or-17850");
  EXPECT_EQ(image.status, domain::OrderStatus::kDelivered);
  EXPECT_EQ(image.payment_method, domain::PaymentMethod::kBankTransfer);
  EXPECT_EQ(image.payment_status, domain::PaymentStatus::kCompleted);
  EXPECT_EQ(base::to_iso8601(image.created_at), "2010-12-01T08:26:00.000Z");
  EXPECT_EQ(order.country, "United Kingdom");
  ASSERT_EQ(image.lines.size(), 3u);
  EXPECT_EQ(image.lines[0].product_id.value(), "or-85123A");
  EXPECT_EQ(image.lines[0].product_name, "WHITE HEART");
  EXPECT_EQ(image.lines[1].product_name, "LANTERN, WHITE");
  EXPECT_EQ(image.lines[1].price.text4(), "3.3950");
  EXPECT_EQ(image.lines[2].product_id.value(), "or-85123A");
  EXPECT_EQ(image.total_amount.text2(), "24.64");  // 7 × 2.55 + 2 × 3.395
  EXPECT_EQ(history->lines_read, 5u);
  EXPECT_EQ(history->lines, 3u);
  EXPECT_EQ(history->skips.quantity_lines, 1u);
  EXPECT_EQ(history->skips.price_lines, 1u);
}

TEST(OnlineRetail, RoundsTheTotalHalfUpOnceAnOrder) {
  const auto history =
      read(line("1", "A", 1, "2011-01-01", "1", "0.003") + line("1", "B", 1, "2011-01-01", "1", "0.002"));
  EXPECT_EQ(retail_image(*history, history->orders.at(0)).total_amount.text2(), "0.01");
}

TEST(OnlineRetail, NamesAProductByItsFirstDescriptionInTheWholeFile) {
  const auto history = read(
      "1,A,  ,1,2011-01-01 10:00:00,1,1,X\n"
      "A2,a,from another invoice,1,2011-01-01 10:00:00,-5,,X\n"
      "3,a,too late,1,2011-01-01 10:00:00,1,1,X\n"
      "3,B,,1,2011-01-01 10:00:00,1,1,X\n");
  const domain::OrderImage first = retail_image(*history, history->orders.at(0));
  const domain::OrderImage second = retail_image(*history, history->orders.at(1));
  EXPECT_EQ(first.lines.at(0).product_name, "from another invoice");
  EXPECT_EQ(second.lines.at(0).product_name, "from another invoice");
  EXPECT_EQ(second.lines.at(1).product_name, "B");
}

TEST(OnlineRetail, LeavesOutInvoicesWithoutAUsableLineAndOtherKinds) {
  const auto history = read(line("1", "A", -3, "2011-01-01") + line("2", "A", 3, "2011-01-01", "1", "0") +
                            line("A3", "B", 1, "2011-01-01", "", "11062.06") +
                            line("c4", "A", 1, "2011-01-01") + line("C5", "A", 1, "2011-01-01"));
  EXPECT_TRUE(history->orders.empty());
  EXPECT_EQ(history->skips.invoices_without_items, 2u);
  EXPECT_EQ(history->skips.quantity_lines, 1u);
  EXPECT_EQ(history->skips.price_lines, 1u);
  EXPECT_EQ(history->skips.adjustment_lines, 2u);
  EXPECT_EQ(history->skips.return_lines, 1u);
  EXPECT_EQ(history->returns, 1u);
  EXPECT_EQ(history->unmatched, 1u);
}

TEST(OnlineRetail, GivesOrdersOfUnknownCustomersToTheGuest) {
  const auto history = read(line("1", "A", 1, "2011-01-01", ""));
  EXPECT_EQ(retail_user_id(history->orders.at(0)).value(), "or-guest");
}

TEST(OnlineRetail, SortsOrdersByDateAndThenByNumber) {
  const auto history = read(line("10", "A", 1, "2011-01-02") + line("9", "A", 1, "2011-01-02") +
                            line("11", "A", 1, "2011-01-01"));
  std::vector<std::string> numbers;
  for (const RetailOrder& order : history->orders) numbers.push_back(order.invoice_no);
  EXPECT_EQ(numbers, (std::vector<std::string>{"11", "9", "10"}));
}

// Returns

TEST(OnlineRetail, DeletesAnOrderThatIsReturnedAsAWhole) {
  const auto history = read(line("1", "A", 2, "2011-01-01") + line("1", "B", 1, "2011-01-01") +
                            line("1", "a", 3, "2011-01-01") + line("C2", "A", -5, "2011-01-02") +
                            line("C2", "B", -1, "2011-01-02"));
  EXPECT_EQ(fate_of(*history, "1"), Fate::kDeleted);
  ASSERT_EQ(history->matches.size(), 1u);
  EXPECT_EQ(history->matches[0].fate, Fate::kDeleted);
  EXPECT_EQ(history->unmatched, 0u);
}

TEST(OnlineRetail, RefundsAnOrderThatIsReturnedInPart) {
  EXPECT_EQ(fate_of(*read(line("1", "A", 2, "2011-01-01") + line("C2", "A", -1, "2011-01-02")), "1"),
            Fate::kRefunded);
  EXPECT_EQ(fate_of(*read(line("1", "A", 1, "2011-01-01") + line("1", "B", 1, "2011-01-01") +
                          line("C2", "A", -1, "2011-01-02")),
                    "1"),
            Fate::kRefunded);
}

TEST(OnlineRetail, TakesTheLatestOrderThatHoldsAllThatIsReturned) {
  const std::string orders = line("1", "A", 5, "2011-01-01") + line("2", "A", 5, "2011-01-02") +
                             line("3", "A", 4, "2011-01-03") + line("4", "B", 9, "2011-01-04");
  const auto history = read(orders + line("C5", "A", -5, "2011-01-05"));
  EXPECT_EQ(fate_of(*history, "1"), Fate::kKept);
  EXPECT_EQ(fate_of(*history, "2"), Fate::kDeleted);
  EXPECT_EQ(fate_of(*history, "3"), Fate::kKept);
  EXPECT_EQ(fate_of(*history, "4"), Fate::kKept);
}

TEST(OnlineRetail, TakesTheHigherNumberOfTwoOrdersOfTheSameMoment) {
  const auto history = read(line("10", "A", 1, "2011-01-01") + line("9", "A", 1, "2011-01-01") +
                            line("C11", "A", -1, "2011-01-02"));
  EXPECT_EQ(fate_of(*history, "10"), Fate::kDeleted);
  EXPECT_EQ(fate_of(*history, "9"), Fate::kKept);
}

TEST(OnlineRetail, TakesOnlyStrictlyEarlierOrders) {
  const auto history = read(line("1", "A", 1, "2011-01-02") + line("2", "A", 1, "2011-01-03") +
                            line("C3", "A", -1, "2011-01-02"));
  EXPECT_EQ(history->unmatched, 1u);
}

TEST(OnlineRetail, TakesAnOrderOnlyOnce) {
  const auto history = read(line("1", "A", 9, "2011-01-01") + line("2", "A", 9, "2011-01-02") +
                            line("C3", "A", -1, "2011-01-03") + line("C4", "A", -1, "2011-01-03") +
                            line("C5", "A", -1, "2011-01-03"));
  EXPECT_EQ(fate_of(*history, "1"), Fate::kRefunded);
  EXPECT_EQ(fate_of(*history, "2"), Fate::kRefunded);
  EXPECT_EQ(history->unmatched, 1u);
  ASSERT_EQ(history->matches.size(), 2u);
  EXPECT_EQ(history->orders[history->matches[0].order].invoice_no, "2");
}

TEST(OnlineRetail, CarriesReturnsOutByDateAndNumberNotInTheOrderOfTheFile) {
  // C9 comes first by number and needs the only order that holds all; C10 would take it as well.
  const auto history = read(line("C10", "A", -1, "2011-01-03") + line("C9", "A", -2, "2011-01-03") +
                            line("1", "A", 2, "2011-01-01"));
  EXPECT_EQ(fate_of(*history, "1"), Fate::kDeleted);
  EXPECT_EQ(history->unmatched, 1u);
}

TEST(OnlineRetail, MatchesNothingForOtherOrUnknownCustomers) {
  const auto history = read(line("1", "A", 1, "2011-01-01", "") + line("2", "A", 1, "2011-01-01", "5") +
                            line("C3", "A", -1, "2011-01-02", "") + line("C4", "A", -1, "2011-01-02", "6"));
  EXPECT_EQ(history->unmatched, 2u);
  EXPECT_TRUE(history->matches.empty());
}

TEST(OnlineRetail, MatchesNothingForAReturnOfNothing) {
  const auto history = read(line("1", "A", 1, "2011-01-01") + line("C2", "A", 1, "2011-01-02"));
  EXPECT_EQ(history->unmatched, 1u);
  EXPECT_EQ(fate_of(*history, "1"), Fate::kKept);
}

TEST(OnlineRetail, DoesNotCountSkippedLinesAsHeld) {
  const auto history = read(line("1", "A", 1, "2011-01-01") + line("1", "B", 1, "2011-01-01", "17850", "0") +
                            line("C2", "B", -1, "2011-01-02"));
  EXPECT_EQ(history->unmatched, 1u);
}

// Broken files

TEST(OnlineRetail, NamesTheLineAndTheFieldThatIsBroken) {
  const std::string good = line("1", "A", 1, "2011-01-01");
  const auto expect = [&](const std::string& broken, std::string_view message) {
    EXPECT_EQ(error_of(good + broken).substr(0, message.size()), message);
  };
  expect("2,A,x,x,2011-01-01 10:00:00,1,1,X\n", "line 3: quantity 'x' is not a whole number");
  expect("2,A,x,,2011-01-01 10:00:00,1,1,X\n", "line 3: quantity '' is not a whole number");
  expect("2,A,x,1.5,2011-01-01 10:00:00,1,1,X\n", "line 3: quantity '1.5' is not a whole number");
  expect("2,A,x,99999999999999999999,2011-01-01 10:00:00,1,1,X\n",
         "line 3: quantity '99999999999999999999' is not a whole");
  expect("2,A,x,1000001,2011-01-01 10:00:00,1,1,X\n", "line 3: quantity 1000001 is beyond 1000000");
  expect("2,A,x,1,yesterday,1,1,X\n", "line 3: invoice_date: ");
  expect("2,A,x,1,2011-02-30 10:00:00,1,1,X\n", "line 3: invoice_date: ");
  expect("2,A,x,1,2011-01-01 10:00:00,1e3,1,X\n", "line 3: unit_price: '1e3' is not an amount of money");
  expect("2,A,x,1,2011-01-01 10:00:00,0.00001,1,X\n", "line 3: unit_price: ");
  expect("2,A,x,1000000,2011-01-01 10:00:00,99999999999999,1,X\n",
         "line 3: 1000000 × 99999999999999.0000 is more than");
  expect(",A,x,1,2011-01-01 10:00:00,1,1,X\n", "line 3: invoice_no is empty");
  expect("2,,x,1,2011-01-01 10:00:00,1,1,X\n", "line 3: stock_code is empty");
  expect("2," + std::string(34, 'A') + ",x,1,2011-01-01 10:00:00,1,1,X\n", "line 3: stock_code 'AAAA");
  expect("2,A,\xff,1,2011-01-01 10:00:00,1,1,X\n", "line 3: description '");
  expect("2,A,x,1,2011-01-01 10:00:00,1,1\n", "line 3: 7 fields, but the header names 8 columns");
  expect("1,B,x,1,2011-01-01 10:00:00,1,2,X\n",
         "line 3: invoice 1 belongs to customer '2' here and to '17850' on line 2");
}

TEST(OnlineRetail, RefusesAnOrderThatIsTooLarge) {
  std::string lines;
  for (std::size_t i = 0; i <= domain::kOrderLinesMax; ++i) lines += line("1", "A", 1, "2011-01-01");
  EXPECT_EQ(error_of(lines), "line 2002: invoice 1 has more than 2000 lines");
  const std::string large = line("1", "A", 1, "2011-01-01", "1", "999999999.99");
  EXPECT_EQ(error_of(large + large).substr(0, 27), "line 2: invoice 1 comes to ");
}

TEST(OnlineRetail, FindsColumnsByTheirNames) {
  const auto history =
      read("X,1,United Kingdom,17850,2.5,2011-01-01 10:00:00,3,thing,A\n",
           "extra,invoice_no,country,customer_id,unit_price,invoice_date,quantity,description,stock_code\n");
  ASSERT_TRUE(history.has_value()) << history.error().message;
  EXPECT_EQ(retail_image(*history, history->orders.at(0)).total_amount.text2(), "7.50");
  EXPECT_TRUE(
      error_of("", "invoice_no,stock_code\n").starts_with("line 1: the column 'description' is missing"));
  EXPECT_TRUE(error_of("", "").starts_with("the file is empty"));
  EXPECT_TRUE(error_of("", "quantity," + std::string(kHeader))
                  .starts_with("line 1: the column 'quantity' is there more than once"));
}

}  // namespace
}  // namespace millrace::tools
