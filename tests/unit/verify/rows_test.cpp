#include "verify/rows.h"

#include <gtest/gtest.h>

#include "verify/chunk_merge.h"
#include "verify/report.h"
#include "verify/store_change.h"
#include "verify/view.h"

namespace millrace::verify {

struct Named {
  std::string id;
  friend const std::string& key_of(const Named& named) { return named.id; }
};

namespace {

std::string merged(const std::vector<std::string>& store, const std::vector<std::string>& warehouse) {
  std::vector<Named> left;
  for (const std::string& id : store) left.push_back({id});
  std::string text;
  ChunkMerge<Named> merge(left, [&](const Named* l, const Named* r) {
    text += l != nullptr ? l->id : "-";
    text += r != nullptr ? r->id : "-";
    text += ' ';
  });
  for (const std::string& id : warehouse) {
    if (!merge.push({id})) return text + "refused";
  }
  merge.finish();
  return text;
}

TEST(VerifyMerge, PairsEveryKeyOfEitherSideOnce) {
  EXPECT_EQ(merged({"a", "b", "d"}, {"b", "c", "d"}), "a- bb -c dd ");
  EXPECT_EQ(merged({}, {"a"}), "-a ");
  EXPECT_EQ(merged({"a"}, {}), "a- ");
}

TEST(VerifyMerge, ShowsARepeatedKeyAsOneTheStoreLacks) {
  EXPECT_EQ(merged({"a", "b"}, {"a", "a", "b"}), "aa -a bb ");
}

TEST(VerifyMerge, RefusesAWrongSortOrder) {
  EXPECT_EQ(merged({"a"}, {"b", "a"}), "a- -b refused");
}

TEST(VerifyChange, ReadsBothImagesOfAnEvent) {
  const auto change = read_change("o1", R"({"eventType":"OrderStatusChanged","version":5,
    "before":{"orderId":"o1","userId":"u1","userEmail":"a@x","totalAmount":12.30,"status":"PENDING",
              "createdAt":"2026-01-31T23:59:59.999Z",
              "items":[{"productId":"p1","productName":"Lamp","quantity":3,"price":4.1000}]},
    "after":{"orderId":"o1","userId":"u1","userEmail":"a@x","totalAmount":12,"status":"SHIPPED",
             "createdAt":"2026-01-31T23:59:59.999Z","items":[]}})");
  ASSERT_TRUE(change) << change.error().message;
  EXPECT_TRUE(change->before->total_amount == 1230);
  EXPECT_TRUE(change->before->lines[0].revenue == 123000);
  EXPECT_EQ(change->before->created_at, "2026-01-31 23:59:59.999");
  EXPECT_TRUE(change->after->total_amount == 1200);
  EXPECT_EQ(change->after->status, "SHIPPED");
}

TEST(VerifyChange, RefusesAnEventWithoutImages) {
  EXPECT_FALSE(read_change("o1", R"({"eventType":"OrderCreated"})"));
  EXPECT_FALSE(read_change("o1", "[]"));
  EXPECT_FALSE(read_change("o1", R"({"after":{"userId":"u"}})"));
}

TEST(VerifyReportText, NamesTableKeyColumnAndBothValues) {
  VerifyReport report;
  report.tables.resize(2);
  report.tables[0].name = "orders";
  report.tables[0].compared = 1234567;
  report.tables[0].differences = 1;
  report.tables[1].name = "daily_sales_mv";
  report.tables[1].in_flight = 1;
  report.differences = {{"orders", "o1", "status", "SHIPPED", "PENDING"}};
  EXPECT_FALSE(report.clean());
  const std::string text = to_table(report);
  EXPECT_NE(text.find("1,234,567"), std::string::npos) << text;
  EXPECT_NE(text.find("orders o1: status: MySQL SHIPPED, warehouse PENDING\n"), std::string::npos) << text;
  EXPECT_NE(to_json(report).find(
                R"({"table":"orders","key":"o1","column":"status","mysql":"SHIPPED","warehouse":"PENDING"})"),
            std::string::npos);
}

TEST(VerifyReportText, CallsMotionAloneClean) {
  VerifyReport report;
  report.tables.resize(1);
  report.tables[0].in_flight = 1;
  EXPECT_TRUE(report.clean());
  EXPECT_NE(to_table(report).find("clean:"), std::string::npos);
}

}  // namespace
}  // namespace millrace::verify
