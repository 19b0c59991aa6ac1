#include "ordering/transaction_spans.h"

#include <gtest/gtest.h>

#include "support/recorded_spans.h"

namespace millrace::ordering {
namespace {

using support::attribute;

Job job(Command command, std::string id) {
  return {.command = std::move(command),
          .done = {},
          .deadline = base::Deadline::in(std::chrono::seconds(60)),
          .order_id = domain::OrderId(std::move(id)),
          .version_maybe_committed = {}};
}

PlaceOrder place(std::string_view traceparent) {
  PlaceOrder order;
  order.traceparent = traceparent;
  return order;
}

class TransactionSpansTest : public testing::Test {
 protected:
  support::RecordedSpans spans_;
  std::vector<Job> jobs_;
  TransactionSpans begin(const telemetry::Tracer& tracer) {
    pointers_.clear();
    for (Job& job : jobs_) pointers_.push_back(&job);
    return {tracer, pointers_};
  }
  std::vector<Job*> pointers_;
};

TEST_F(TransactionSpansTest, AreThoseOfItsSampledCommandsWithWhatBecameOfEach) {
  jobs_.push_back(job(place(""), "untraced"));
  jobs_.push_back(job(place(support::kTraceparent), "placed"));
  jobs_.push_back(job(place(support::kUnsampled), "unsampled"));
  jobs_.push_back(
      job(DeleteOrder{.order_id = {}, .admin_id = {}, .traceparent = std::string(support::kTraceparent)},
          "not there"));
  jobs_.push_back(job(BackfillOrder{}, "without a request"));
  auto transaction = begin(spans_.tracer());
  const base::Error not_found{base::ErrorKind::kNotFound, "there is no order", 0};
  transaction.end_each([&](std::size_t i) { return i == 3 ? &not_found : nullptr; });
  transaction.end_all(not_found);
  const auto recorded = spans_.take();
  ASSERT_EQ(recorded.size(), 2U);
  EXPECT_TRUE(support::is_child_of_client(recorded[0]));
  EXPECT_EQ(recorded[0].name, "order transaction");
  EXPECT_EQ(attribute(recorded[0], "millrace.order.id"), "placed");
  EXPECT_EQ(attribute(recorded[0], "millrace.transaction.commands"), "5");
  EXPECT_EQ(recorded[0].error_type, "");
  EXPECT_EQ(attribute(recorded[1], "millrace.order.id"), "not there");
  EXPECT_EQ(recorded[1].error_type, "not found");
}

TEST_F(TransactionSpansTest, SayWhenTheTransactionFailed) {
  jobs_.push_back(job(place(support::kTraceparent), "placed"));
  auto transaction = begin(spans_.tracer());
  transaction.end_all({base::ErrorKind::kUnavailable, "secret words of a server", 2013});
  const auto recorded = spans_.take();
  ASSERT_EQ(recorded.size(), 1U);
  EXPECT_EQ(recorded[0].error_type, "unavailable");
  EXPECT_LE(recorded[0].start, recorded[0].end);
}

TEST_F(TransactionSpansTest, AreNoneWithoutATracer) {
  jobs_.push_back(job(place(support::kTraceparent), "placed"));
  auto transaction = begin({});
  transaction.end_each([](std::size_t) -> const base::Error* {
    ADD_FAILURE() << "asked about a span that nobody wants";
    return nullptr;
  });
}

}  // namespace
}  // namespace millrace::ordering
