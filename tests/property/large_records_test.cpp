// Records near the largest that the log takes: none of them holds up what stands behind it.
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "adapters/memory/memory_event_log.h"
#include "adapters/system/system_clock.h"
#include "domain/order_event.h"
#include "transform/transformer.h"

namespace millrace {
namespace {

constexpr std::size_t kRecordBytesMax = 2'000;

base::Deadline soon() {
  return base::Deadline::in(std::chrono::milliseconds(20'000));
}

TEST(LargeRecords, ThatCannotBeReadDoNotHoldUpTheTransformer) {
  spdlog::set_level(spdlog::level::off);
  adapters::memory::MemoryEventLog log(kRecordBytesMax);
  for (const char* topic : {"order.events", "orders_analytics", "order.events-dlq"})
    ASSERT_TRUE(log.ensure_topic(topic, 1, soon()));
  domain::OrderEvent event;
  event.version = 1;
  event.after.emplace();
  event.after->order_id = domain::OrderId("o-1");
  event.after->user_id = domain::UserId("u-1");
  const std::vector<ports::Header> headers{{"epoch", "1"}};
  const auto append = [&](std::string value, std::string id) {
    ports::NewRecord record{"k", std::move(value), headers, base::utc_from_ms(1)};
    record.headers.push_back({"event-id", std::move(id)});
    ASSERT_TRUE(log.append({"order.events", 0}, {&record, 1}, soon()));
  };
  append(std::string(kRecordBytesMax - 30, 'x'), "1");
  append(domain::to_json(event), "2");

  adapters::system::SystemClock clock;
  transform::Transformer transformer(log, clock, {});
  base::StopSignal stop;
  std::thread thread([&] { EXPECT_TRUE(transformer.run(stop)); });
  const auto rows = log.read({"orders_analytics", 0}, 0, {10, 100'000}, soon());
  stop.request();
  thread.join();

  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 1u);
  const auto letters = log.read({"order.events-dlq", 0}, 0, {10, 100'000}, base::Deadline::in({}));
  ASSERT_TRUE(letters);
  ASSERT_EQ(letters->size(), 1u);
  EXPECT_EQ(letters->front().header("value-bytes"), fmt::format("{}", kRecordBytesMax - 30));
}

}  // namespace
}  // namespace millrace
