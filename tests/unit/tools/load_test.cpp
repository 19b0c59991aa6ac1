// A load against a shop that lives in the test: its views show every order and every deletion at once.
#include "tools/load.h"

#include <mutex>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tools/visible_orders.h"

namespace millrace::tools {
namespace {

using namespace std::chrono_literals;

class Shop final : public ports::HttpClient, public ports::Warehouse {
 public:
  base::Result<ports::HttpResponse> send(const ports::HttpCall& call, const BodySink&,
                                         base::Deadline) override {
    const std::lock_guard lock(mutex_);
    ports::HttpResponse response;
    if (call.method == "POST") {
      const std::string id = fmt::format("order-{}", ++made_);
      orders_.insert(id);
      response.status = 201;
      response.body = fmt::format(R"({{"id":"{}"}})", id);
    } else if (call.method == "DELETE") {
      if (refused_deletions_ > 0) {
        --refused_deletions_;
        return base::unavailable("no answer");
      }
      const std::string id = call.url.substr(call.url.rfind('/') + 1);
      response.status = orders_.erase(id) == 1 ? 204 : 404;
    } else if (call.method == "GET") {
      response.body = R"([{"id":"user-1"},{"id":"prod-1"}])";
    }
    return response;
  }
  using ports::HttpClient::send;

  base::Result<std::string> query(std::string_view, std::string_view, std::span<const ports::QueryParameter>,
                                  base::Deadline) override {
    const std::lock_guard lock(mutex_);
    return std::to_string(kBefore + orders_.size());
  }
  base::Result<void> execute(std::string_view, std::span<const ports::QueryParameter>,
                             base::Deadline) override {
    return {};
  }
  base::Result<void> query_stream(std::string_view, std::string_view, std::span<const ports::QueryParameter>,
                                  const std::function<base::Result<void>(std::string_view)>&,
                                  base::Deadline) override {
    return {};
  }
  base::Result<void> insert(std::string_view, std::span<const std::string_view>, std::string_view,
                            std::string_view, base::Deadline) override {
    return {};
  }
  base::Result<void> ping(base::Deadline) override { return {}; }

  int refused_deletions_ = 0;

 private:
  static constexpr std::size_t kBefore = 7;
  std::mutex mutex_;
  std::size_t made_ = 0;          // guarded by mutex_
  std::set<std::string> orders_;  // guarded by mutex_
};

TEST(Load, SeesEveryOrderThoughManyAreDeletedAgain) {
  Shop shop;
  LoadOptions options;
  options.orders_per_second = 400;
  options.duration = 500ms;
  options.delete_share = 0.5;
  options.delete_delay = 20ms;
  const base::StopSignal never;

  const auto report = run_load(shop, &shop, options, never);

  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->accepted, 200u);
  EXPECT_GT(report->deleted, 0u);
  EXPECT_EQ(report->visible.samples, report->accepted);
}

TEST(Load, AsksAgainForADeletionThatHadNoAnswer) {
  Shop shop;
  shop.refused_deletions_ = 3;
  LoadOptions options;
  options.orders_per_second = 400;
  options.duration = 500ms;
  options.delete_share = 0.1;
  options.delete_delay = 5ms;
  const base::StopSignal never;

  const auto report = run_load(shop, &shop, options, never);

  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->visible.samples, report->accepted);
}

class VisibleOrdersTest : public testing::Test {
 protected:
  static VisibleOrders::Clock::time_point at(int ms) {
    return VisibleOrders::Clock::time_point(std::chrono::milliseconds(ms));
  }
};
using Waited = std::vector<double>;

TEST_F(VisibleOrdersTest, AreCountedOffInTheOrderOfTheirAnswers) {
  VisibleOrders orders(10);
  for (int i = 0; i < 3; ++i) orders.on_created(at(i));
  EXPECT_EQ(orders.on_count(10, at(5)), Waited{});
  EXPECT_EQ(orders.on_count(12, at(6)), (Waited{6, 5}));
  EXPECT_EQ(orders.waiting(), 1u);
  EXPECT_EQ(orders.on_count(13, at(9)), Waited{7});
  EXPECT_EQ(orders.on_count(13, at(10)), Waited{});
}

TEST_F(VisibleOrdersTest, AreNotMissedWhenOthersAreDeleted) {
  VisibleOrders orders(10);
  orders.on_created(at(0));
  orders.on_deleted();
  orders.on_created(at(1));
  orders.on_created(at(2));
  EXPECT_EQ(orders.on_count(12, at(4)), (Waited{4, 3, 2}));
  // One made and one deleted: the same count as if neither were visible, until nothing more can come.
  orders.on_created(at(5));
  orders.on_deleted();
  EXPECT_EQ(orders.on_count(12, at(6)), Waited{});
  EXPECT_EQ(orders.on_count(12, at(7), true), Waited{2});
  EXPECT_EQ(orders.waiting(), 0u);
}

TEST_F(VisibleOrdersTest, MayBeCountedBeforeTheirAnswers) {
  VisibleOrders orders(10);
  orders.on_created(at(3));
  EXPECT_EQ(orders.on_count(12, at(2)), Waited{0});
  orders.on_created(at(4));
  EXPECT_EQ(orders.on_count(12, at(5)), Waited{1});
}

TEST_F(VisibleOrdersTest, AreKeptUpToABound) {
  VisibleOrders orders(0, 2);
  for (int i = 0; i < 3; ++i) orders.on_created(at(i));
  EXPECT_EQ(orders.waiting(), 2u);
  EXPECT_EQ(orders.on_count(2, at(5)), Waited{4});
  EXPECT_EQ(orders.on_count(3, at(5)), Waited{3});
}

}  // namespace
}  // namespace millrace::tools
