#include "inspect/messages.h"

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"

namespace millrace::inspect {
namespace {

using base::Deadline;
using base::ErrorKind;

Deadline soon() {
  return Deadline::in(std::chrono::seconds(5));
}

class Messages : public testing::Test {
 protected:
  void append(std::int32_t partition, const std::string& value, std::int64_t time_ms) {
    const std::vector<ports::NewRecord> records{{"key", value, {}, base::utc_from_ms(time_ms)}};
    ASSERT_TRUE(log_.append({"topic", partition}, records, soon()).has_value());
  }
  /// "partition:value" of each.
  std::vector<std::string> last(std::size_t count, std::optional<std::int32_t> partition = std::nullopt) {
    std::vector<std::string> shown;
    const auto found = last_messages(log_, "topic", partition, count, soon());
    EXPECT_TRUE(found.has_value()) << found.error().message;
    if (found)
      for (const Message& message : *found)
        shown.push_back(std::to_string(message.partition) + ":" + message.record.value.substr(0, 10));
    return shown;
  }
  ErrorKind refusal(const std::string& topic, std::optional<std::int32_t> partition, std::size_t count) {
    const auto found = last_messages(log_, topic, partition, count, soon());
    EXPECT_FALSE(found.has_value());
    return found.error().kind;
  }

  adapters::memory::MemoryEventLog log_;
  const bool made_ = log_.ensure_topic("topic", 2, soon()).has_value();
};

using Shown = std::vector<std::string>;

TEST_F(Messages, AreTheLatestOfAllPartitionsTheLatestLast) {
  append(0, "a", 1);
  append(1, "b", 2);
  append(1, "c", 3);
  append(0, "d", 4);
  EXPECT_EQ(last(3), (Shown{"1:b", "1:c", "0:d"}));
  EXPECT_EQ(last(200), (Shown{"0:a", "1:b", "1:c", "0:d"}));
  EXPECT_EQ(last(1, 1), (Shown{"1:c"}));
}

TEST_F(Messages, KeepTheOrderOfTheirOffsetsWhenTheirTimesDoNot) {
  append(0, "late", 9);
  append(0, "early", 1);
  append(1, "between", 5);
  EXPECT_EQ(last(3), (Shown{"0:late", "0:early", "1:between"}));
}

TEST_F(Messages, OfAnEmptyOrTrimmedTopicAreThoseThatAreLeft) {
  EXPECT_EQ(last(5), Shown{});
  for (int i = 0; i < 40; ++i) append(0, std::to_string(i), i);
  ASSERT_TRUE(log_.delete_records({"topic", 0}, 38, soon()).has_value());
  EXPECT_EQ(last(5), (Shown{"0:38", "0:39"}));
}

TEST_F(Messages, AreFewerWhenTheyAreTooLargeButAlwaysOne) {
  const std::string large(std::size_t{6} << 20u, 'x');
  for (int i = 0; i < 24; ++i) append(0, large, i);
  append(1, "old", 0);
  const auto found = last_messages(log_, "topic", std::nullopt, 30, soon());
  ASSERT_TRUE(found.has_value());
  EXPECT_GE(found->size(), 1U);
  EXPECT_LT(found->size(), 24U);
  EXPECT_EQ(found->back().record.offset, 23);
}

TEST_F(Messages, OfWhatIsNotThereAreNotFound) {
  EXPECT_EQ(refusal("nope", std::nullopt, 1), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("topic", 2, 1), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("topic", -1, 1), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("topic", 0, 0), ErrorKind::kInvalid);
  EXPECT_EQ(refusal("topic", 0, kMessagesMax + 1), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace millrace::inspect
