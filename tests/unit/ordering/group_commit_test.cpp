#include "ordering/group_commit.h"

#include <optional>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "base/exceptions.h"
#include "base/uuid.h"
#include "support/fake_order_store.h"

namespace millrace::ordering {
namespace {

using namespace std::chrono_literals;

class FixedClock final : public ports::Clock {
 public:
  [[nodiscard]] base::UtcTime now() const override { return *base::parse_utc("2026-01-31T12:00:00Z"); }
};

class GroupCommitTest : public testing::Test {
 protected:
  GroupCommitTest() {
    store_.add_user("user-1");
    store_.add_product("prod-1", domain::Money::from_cents(1000), 100);
  }

  /// A job whose outcome goes to `outcomes_[index]`.
  void add_job(std::chrono::milliseconds left, Command command = place()) {
    const std::size_t index = outcomes_.size();
    outcomes_.emplace_back();
    jobs_.push_back({.command = std::move(command),
                     .done =
                         [this, index](base::Result<Outcome> outcome) {
                           ++answers_;
                           outcomes_[index] = std::move(outcome);
                         },
                     .deadline = base::Deadline::in(left),
                     .order_id = domain::OrderId(base::uuid_v7(clock_.now())),
                     .version_maybe_committed = {}});
  }
  static PlaceOrder place() {
    PlaceOrder order;
    order.user_id = domain::UserId("user-1");
    order.items = {{.product_id = domain::ProductId("prod-1"), .quantity = 1}};
    return order;
  }
  void execute() { group_commit_.execute(jobs_); }
  [[nodiscard]] bool succeeded(std::size_t index) const {
    return outcomes_[index] && outcomes_[index]->has_value();
  }

  support::FakeOrderStore store_;
  FixedClock clock_;
  int woken_ = 0;
  GroupCommit group_commit_{store_, clock_, [this] { ++woken_; }};
  std::vector<Job> jobs_;
  std::vector<std::optional<base::Result<Outcome>>> outcomes_;
  int answers_ = 0;
};

TEST_F(GroupCommitTest, CommitsManyCommandsInOneTransaction) {
  for (int i = 0; i < 3; ++i) add_job(10s);
  execute();
  EXPECT_EQ(store_.begun, 1);
  EXPECT_EQ(store_.committed, 1);
  EXPECT_EQ(woken_, 1);
  EXPECT_EQ(store_.orders.size(), 3U);
  EXPECT_EQ(store_.outbox.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(succeeded(i));
}

TEST_F(GroupCommitTest, KeepsTheOrderOfTheCommandsOfOneTransaction) {
  store_.shelves.begin()->second.quantity = 1;
  for (const auto left : {8s, 10s, 9s}) add_job(left);
  execute();
  EXPECT_TRUE(succeeded(0)) << "the first gets what there is";
  EXPECT_FALSE(succeeded(1));
  EXPECT_FALSE(succeeded(2));
  EXPECT_EQ(store_.begun, 1);
}

TEST_F(GroupCommitTest, RefusesAJobWithTooLittleTimeAndCommitsTheOthersAtOnce) {
  store_.needs = 1s;
  add_job(10s);
  add_job(3ms);
  add_job(10s);

  execute();

  EXPECT_TRUE(succeeded(0));
  EXPECT_TRUE(succeeded(2));
  EXPECT_EQ(store_.begun, 1) << "the others share one transaction";
  ASSERT_TRUE(outcomes_[1]);
  ASSERT_FALSE(*outcomes_[1]);
  EXPECT_EQ(outcomes_[1]->error().kind, base::ErrorKind::kUnavailable);
  EXPECT_EQ(answers_, 3);
}

TEST_F(GroupCommitTest, DoesNotLetAJobThatHasWaitedLongCutTheOthersShort) {
  store_.needs = 2s;
  add_job(10s);
  add_job(150ms);
  add_job(9s);

  execute();

  EXPECT_TRUE(succeeded(0));
  EXPECT_TRUE(succeeded(2));
  EXPECT_EQ(store_.begun, 1) << "the others share one transaction";
  ASSERT_TRUE(outcomes_[1]);
  EXPECT_FALSE(*outcomes_[1]);
}

TEST_F(GroupCommitTest, AnswersEachJobWhenItsPartsThrow) {
  const std::uint64_t before = base::exceptions_caught();
  store_.before = [](std::string_view call) -> base::Result<void> {
    if (call == "insert_orders") throw std::runtime_error("on purpose");
    return {};
  };
  add_job(10s);
  add_job(10s);
  add_job(10s, SetStock{.product_id = domain::ProductId("prod-1"), .quantity = 7});

  execute();

  EXPECT_EQ(answers_, 3);
  for (const std::size_t index : {0U, 1U}) {
    ASSERT_TRUE(outcomes_[index]);
    ASSERT_FALSE(*outcomes_[index]);
    EXPECT_EQ(outcomes_[index]->error().kind, base::ErrorKind::kFatal);
  }
  EXPECT_TRUE(succeeded(2)) << "one bad command hurts no other";
  EXPECT_EQ(base::exceptions_caught() - before, 3U) << "of the batch, and of two single attempts";
}

TEST_F(GroupCommitTest, GoesOnWhenAnAnswerThrows) {
  const std::uint64_t before = base::exceptions_caught();
  for (int i = 0; i < 3; ++i) add_job(10s);
  jobs_[1].done = [](const base::Result<Outcome>&) { throw std::runtime_error("on purpose"); };

  execute();

  EXPECT_TRUE(succeeded(0));
  EXPECT_TRUE(succeeded(2));
  EXPECT_EQ(store_.committed, 1) << "what is committed is not carried out again";
  EXPECT_EQ(base::exceptions_caught() - before, 1U);
}

TEST_F(GroupCommitTest, TriesTheOthersByThemselvesWhenOneCommandFails) {
  store_.before = [this](std::string_view call) -> base::Result<void> {
    if (call == "insert_orders" && store_.begun == 1) return base::invalid("this does not fit");
    return {};
  };
  add_job(10s);
  add_job(10s);
  execute();
  EXPECT_TRUE(succeeded(0));
  EXPECT_TRUE(succeeded(1));
  EXPECT_EQ(store_.begun, 3);
}

TEST_F(GroupCommitTest, LooksWhetherAnOrderIsThereWhenTheAnswerOfACommitWasLost) {
  store_.after_commit = [this]() -> base::Result<void> {
    if (store_.committed == 1) return base::unavailable("the answer is lost");
    return {};
  };
  add_job(10s);
  execute();
  EXPECT_TRUE(succeeded(0));
  EXPECT_EQ(store_.orders.size(), 1U);
  EXPECT_EQ(store_.outbox.size(), 1U);
  EXPECT_EQ(store_.shelves.begin()->second.reserved, 1);
}

}  // namespace
}  // namespace millrace::ordering
