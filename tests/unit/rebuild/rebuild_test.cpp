#include <array>

#include <gtest/gtest.h>

#include "adapters/memory/memory_event_log.h"
#include "base/json.h"
#include "rebuild/generations.h"
#include "rebuild/replay.h"
#include "rebuild/state.h"

namespace millrace::rebuild {
namespace {

base::Deadline soon() {
  return base::Deadline::in(std::chrono::seconds(10));
}

TEST(RebuildState, ComesBackAsItWasSaved) {
  State state;
  state.phase = Phase::kFill;
  state.generation = {.number = 7, .snapshot_version_max = 1'767'225'600'123};
  state.topic_id = "topic";
  state.positions = {{0, {.as_of_offset = 12, .input_offset = 9}},
                     {1, {.as_of_offset = 0, .input_offset = -1}}};
  state.staging = "snapshot_g7_x";
  state.base = "orders_analytics_g7_x";
  state.rollups = "rollups_g7_y";
  state.base_uuid = "a";
  state.rollups_uuid = "b";
  state.last_id = "it's \"an\" id";
  state.orders = 5;
  state.slice = 3;
  state.slice_orders = 100;
  state.skipped = 2;
  const auto read = parse_state(to_json(state));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, state);
}

TEST(RebuildState, BeginsWhereNothingWasSavedAndRefusesWhatItCannotRead) {
  EXPECT_EQ(parse_state("").value(), State{});
  for (const char* text : {"{}", "[]", "x", R"({"phase":"dance"})"})
    EXPECT_EQ(parse_state(text).error().kind, base::ErrorKind::kFatal) << text;
}

constexpr std::array<std::string_view, 2> kSchema = {
    "-- a comment\nCREATE TABLE IF NOT EXISTS analytics.rollups\n(\n    source String\n)\nENGINE = "
    "ReplacingMergeTree\nORDER BY source",
    "CREATE TABLE IF NOT EXISTS analytics.orders_analytics\n(\n    id String\n)\nENGINE = "
    "ReplacingMergeTree\nORDER BY id"};

TEST(Generations, AreMadeByTheSchemasOwnStatements) {
  const auto statements = table_statements(kSchema);
  ASSERT_TRUE(statements) << statements.error().message;
  EXPECT_EQ(shadow_statement(statements->rollups, "rollups_g7_x", 7, true).value_or(""),
            "CREATE TABLE IF NOT EXISTS analytics.rollups_g7_x\n(\n    source String,\n    CONSTRAINT "
            "generation CHECK startsWith(source, '7/')\n)\nENGINE = ReplacingMergeTree\nORDER BY "
            "source\nCOMMENT 'generation 7'");
  EXPECT_EQ(shadow_statement(statements->base, "orders_analytics_g7_x", 7, false).value_or(""),
            "CREATE TABLE IF NOT EXISTS analytics.orders_analytics_g7_x\n(\n    id String\n)\nENGINE = "
            "ReplacingMergeTree\nORDER BY id\nCOMMENT 'generation 7'");
  EXPECT_FALSE(table_statements({kSchema.data(), 1}));
  EXPECT_FALSE(shadow_statement("CREATE VIEW v AS SELECT 1", "x", 1, true));
}

base::Result<ReplayParameters> read(std::string_view text) {
  const auto document = base::parse_json(text);
  EXPECT_TRUE(document) << text;
  return read_replay(document->get_object());
}

TEST(ReplayParameters, TakeAnOffsetOrATime) {
  const auto offset = read(R"({"topic":"orders_analytics","from":"1234","partition":2})");
  ASSERT_TRUE(offset) << offset.error().message;
  EXPECT_EQ(std::get<std::int64_t>(offset->from), 1234);
  EXPECT_EQ(offset->partition, 2);
  const auto time = read(R"({"topic":"orders_analytics","from":"2026-01-31T12:00:00Z"})");
  ASSERT_TRUE(time) << time.error().message;
  EXPECT_EQ(std::get<base::UtcTime>(time->from), *base::parse_utc("2026-01-31T12:00:00Z"));
  EXPECT_FALSE(time->partition);
  for (const auto& parameters : {*offset, *time})
    EXPECT_EQ(to_json(read(to_json(parameters)).value()), to_json(parameters));
}

TEST(ReplayParameters, RefuseWhatMakesNoSense) {
  for (const char* text :
       {R"({"from":"1"})", R"({"topic":"order.events","from":"1"})", R"({"topic":"x","from":"1"})",
        R"({"topic":"orders_analytics"})", R"({"topic":"orders_analytics","from":"-1"})",
        R"({"topic":"orders_analytics","from":"soon"})", R"({"topic":"orders_analytics","from":7})",
        R"({"topic":"orders_analytics","from":"7","partition":-1})",
        R"({"topic":"orders_analytics","from":"7","partition":"1"})"})
    EXPECT_EQ(read(text).error().kind, base::ErrorKind::kInvalid) << text;
}

TEST(Replay, FindsTheFirstRecordOfATime) {
  adapters::memory::MemoryEventLog log;
  ASSERT_TRUE(log.ensure_topic("t", 1, soon()));
  for (std::int64_t second = 0; second < 40; ++second) {
    const ports::NewRecord record{
        .key = "k", .value = "v", .headers = {}, .time = base::utc_from_ms(second / 2 * 1000)};
    ASSERT_TRUE(log.append({"t", 0}, {&record, 1}, soon()));
  }
  ASSERT_TRUE(log.delete_records({"t", 0}, 5, soon()));
  const auto range = log.offsets({"t", 0}, soon());
  ASSERT_TRUE(range);
  const auto at = [&](std::int64_t ms) {
    return first_offset_at(log, {"t", 0}, *range, base::utc_from_ms(ms), soon()).value_or(-1);
  };
  EXPECT_EQ(at(0), 5);
  EXPECT_EQ(at(10'000), 20);
  EXPECT_EQ(at(10'001), 22);
  EXPECT_EQ(at(19'000), 38);
  EXPECT_EQ(at(20'000), 40);
}

TEST(ReplayState, ComesBackAsItWasSaved) {
  const ReplayState state{.topic_id = "topic",
                          .partitions = {{.partition = 1, .from = 2, .next = 3, .to = 4}},
                          .rows = 5,
                          .unreadable = 6};
  const auto read_back = parse_replay_state(to_json(state));
  ASSERT_TRUE(read_back) << read_back.error().message;
  EXPECT_EQ(to_json(*read_back), to_json(state));
  EXPECT_EQ(parse_replay_state("{}").error().kind, base::ErrorKind::kFatal);
}

}  // namespace
}  // namespace millrace::rebuild
