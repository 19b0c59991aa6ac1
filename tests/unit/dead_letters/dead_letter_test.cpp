#include "dead_letters/dead_letter.h"

#include <gtest/gtest.h>

namespace millrace::dead_letters {
namespace {

constexpr const char* kEvent =
    R"({"eventType":"OrderCreated","version":5,"occurredAt":"2026-01-01T00:00:00.000Z","after":{"orderId":"o-1",)"
    R"("userId":"u","userEmail":"u@x","totalAmount":10.00,"status":"PENDING","paymentMethod":"CASH",)"
    R"("paymentStatus":"PENDING","createdAt":"2026-01-01T00:00:00.000Z","items":[]}})";

ports::Record dead_record(std::string key = "o-1") {
  ports::Record source{.offset = 7,
                       .key = std::move(key),
                       .value = "{}",
                       .headers = {{"event-id", "12"}, {"reason", "not ours"}, {"source-offset", "999"}},
                       .time = base::utc_from_ms(1)};
  const ports::NewRecord letter = ports::dead_letter_of(source, {"order.events", 2}, "topic-id-1",
                                                        "no such thing", base::utc_from_ms(5), 1u << 20u);
  return {
      .offset = 0, .key = letter.key, .value = letter.value, .headers = letter.headers, .time = letter.time};
}

TEST(DeadLetter, IsKnownByTheHeadersThatItsStagePutBehindTheRecordsOwn) {
  const auto letter = read_dead_letter(dead_record());
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->place, (ports::DeadLetterPosition{"order.events", "topic-id-1", 2, 7}));
  EXPECT_EQ(letter->reason, "no such thing");
  EXPECT_FALSE(letter->half_base);
  EXPECT_EQ(to_string(id_of(letter->place)), "order.events/2/7");
}

TEST(DeadLetter, IsNoneWithoutAPlaceItCameFrom) {
  EXPECT_FALSE(read_dead_letter({.offset = 1, .key = "k", .value = "v", .headers = {}, .time = {}}));
}

TEST(DeadLetter, IsCutToWhatTheLogTakes) {
  const ports::Record large{
      .offset = 1, .key = "k", .value = std::string(5'000, 'x'), .headers = {{"event-id", "1"}}, .time = {}};
  const auto of = [&](std::size_t bytes_max) {
    return ports::dead_letter_of(large, {"order.events", 0}, "i", "a reason", {}, bytes_max);
  };
  EXPECT_EQ(of(10'000).value, large.value);
  for (const std::size_t bytes_max : {5'100u, 5'000u, 1'000u, 400u}) {
    const ports::NewRecord letter = of(bytes_max);
    EXPECT_LE(ports::bytes_of(letter), bytes_max);
    EXPECT_LT(letter.value.size(), 5'000u);
    EXPECT_EQ(letter.headers.back(), (ports::Header{"value-bytes", "5000"}));
  }
}

TEST(DeadLetter, IdIsReadAsItIsPrinted) {
  const DeadLetterId id{"order.events", 2, 1234};
  EXPECT_EQ(*parse_dead_letter_id(to_string(id)), id);
  for (const char* wrong : {"", "order.events", "order.events/1", "/1/2", "order.events/a/2",
                            "order.events/1/-2", "order.events/1/2x", "order.events//2", "1/2"})
    EXPECT_FALSE(parse_dead_letter_id(wrong)) << wrong;
}

TEST(DeadLetter, GivesWayToAnEventThatCanBeRead) {
  const auto row = event_in_place_of(*read_dead_letter(dead_record()), kEvent, base::utc_from_ms(9));
  ASSERT_TRUE(row) << row.error().message;
  EXPECT_EQ(row->aggregate_id, "o-1");
  EXPECT_EQ(row->aggregate_type, "Order");
  EXPECT_EQ(row->event_type, "OrderCreated");
  EXPECT_EQ(row->payload, kEvent);
  EXPECT_EQ(base::to_ms(row->created_at), 9);
}

TEST(DeadLetter, IsNotReplayedAsWhatWouldBeADeadLetterAgain) {
  const auto refused = event_in_place_of(*read_dead_letter(dead_record()), "{}", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kRejected);
  EXPECT_NE(refused.error().message.find("'eventType'"), std::string::npos) << refused.error().message;
}

TEST(DeadLetter, TakesNoEventOfAnotherOrder) {
  const auto refused = event_in_place_of(*read_dead_letter(dead_record("o-2")), kEvent, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
  EXPECT_TRUE(event_in_place_of(*read_dead_letter(dead_record("")), kEvent, {}));
}

}  // namespace
}  // namespace millrace::dead_letters
