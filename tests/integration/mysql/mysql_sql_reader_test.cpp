#include "adapters/mysql/mysql_sql_reader.h"

#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/connection.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using ports::SqlRow;

base::Deadline soon() {
  return base::Deadline::in(30s);
}

class MysqlSqlReaderTest : public testing::Test {
 protected:
  std::unique_ptr<ports::SqlSnapshot> open() {
    auto snapshot = reader_.open_snapshot(soon());
    EXPECT_TRUE(snapshot) << (snapshot ? "" : snapshot.error().message);
    return snapshot ? std::move(*snapshot) : nullptr;
  }
  static std::string first(ports::SqlSnapshot& snapshot, std::string_view select,
                           const std::vector<std::string>& parameters = {}) {
    std::string value = "(none)";
    const auto read = snapshot.read(
        select, parameters,
        [&](SqlRow row) -> base::Result<void> {
          value = row[0].value_or("NULL");
          return {};
        },
        soon());
    return read ? value : read.error().message;
  }

  support::TestDatabase database_;
  adapters::mysql::MysqlSqlReader reader_{database_.address()};
};

TEST_F(MysqlSqlReaderTest, SeesOneMomentHoweverLongItReads) {
  const auto snapshot = open();
  database_.run("UPDATE products SET name = 'Changed' WHERE id = 'prod-1'");
  database_.run("DELETE FROM inventory");
  EXPECT_EQ(first(*snapshot, "SELECT name FROM products WHERE id = ?", {"prod-1"}), "Laptop");
  EXPECT_EQ(first(*snapshot, "SELECT COUNT(*) FROM inventory"), "6");
  EXPECT_EQ(first(*open(), "SELECT name FROM products WHERE id = ?", {"prod-1"}), "Changed");
}

TEST_F(MysqlSqlReaderTest, GivesFieldsAsTextAndNullAsNothing) {
  const auto snapshot = open();
  std::vector<std::string> fields;
  const auto read = snapshot->read(
      "SELECT 1, -5, 18446744073709551615, 12.50, 'é商', NULL, '', CAST('2026-01-31 09:05:00.120' AS "
      "DATETIME(3)), REPEAT('x', 100000), "
      "CAST('2026-01-31' AS DATE)",
      {},
      [&](SqlRow row) -> base::Result<void> {
        for (const auto& field : row) fields.emplace_back(field.value_or("NULL"));
        return {};
      },
      soon());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(fields,
            (std::vector<std::string>{"1", "-5", "18446744073709551615", "12.50", "é商", "NULL", "",
                                      "2026-01-31 09:05:00.120", std::string(100'000, 'x'), "2026-01-31"}));
}

TEST_F(MysqlSqlReaderTest, ReadsFieldsOfAnyLengthOneAfterTheOther) {
  const auto snapshot = open();
  std::vector<std::size_t> lengths;
  const auto read = snapshot->read(
      "SELECT REPEAT('x', seq * 1000 MOD 7001), seq FROM seq_1_to_50 ORDER BY seq", {},
      [&](SqlRow row) -> base::Result<void> {
        lengths.push_back(row[0]->size());
        EXPECT_EQ(row[0]->find_first_not_of('x'), std::string_view::npos);
        EXPECT_EQ(*row[1], std::to_string(lengths.size()));
        return {};
      },
      soon());
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(lengths.size(), 50u);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(lengths[i], (i + 1) * 1000 % 7001);
}

std::size_t peak_memory_kib() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  return 0;
}

TEST_F(MysqlSqlReaderTest, StreamsMillionsOfRowsInLittleMemory) {
  const auto snapshot = open();
  const std::size_t before = peak_memory_kib();
  std::size_t rows = 0;
  const auto read = snapshot->read(
      "SELECT seq, REPEAT('x', 200) FROM seq_1_to_1000000", {},
      [&](SqlRow) -> base::Result<void> {
        ++rows;
        return {};
      },
      base::Deadline::in(120s));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(rows, 1'000'000u);
  EXPECT_LT(peak_memory_kib() - before, 32u << 10);
}

TEST_F(MysqlSqlReaderTest, StopsWithTheCallersErrorAndNotAfterTheLastRow) {
  const auto snapshot = open();
  std::size_t rows = 0;
  const auto read = snapshot->read(
      "SELECT REPEAT('x', 1000) FROM seq_1_to_100000000", {},
      [&](SqlRow) -> base::Result<void> {
        if (++rows == 3) return base::rejected("enough");
        return {};
      },
      soon());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "enough");
  EXPECT_EQ(rows, 3u);
}

TEST_F(MysqlSqlReaderTest, EndsAtItsDeadlineAlsoInTheMiddleOfRows) {
  const auto snapshot = open();
  const auto read = snapshot->read(
      "SELECT REPEAT('x', 1000) FROM seq_1_to_1000000000", {},
      [](SqlRow) -> base::Result<void> { return {}; }, base::Deadline::in(200ms));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kUnavailable);
  const auto waiting = open()->read(
      "SELECT SLEEP(1000)", {}, [](SqlRow) -> base::Result<void> { return {}; }, base::Deadline::in(200ms));
  ASSERT_FALSE(waiting);
  EXPECT_EQ(waiting.error().kind, ErrorKind::kUnavailable);
}

TEST_F(MysqlSqlReaderTest, RefusesWritesAndBrokenStatements) {
  const auto snapshot = open();
  const auto nothing = [](SqlRow) -> base::Result<void> { return {}; };
  EXPECT_EQ(snapshot->read("SELEC 1", {}, nothing, soon()).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(snapshot->read("SELECT no_such_column FROM orders", {}, nothing, soon()).error().kind,
            ErrorKind::kInvalid);
  // A mistake of our own, no input.
  EXPECT_EQ(snapshot->read("SELECT ?", {}, nothing, soon()).error().kind, ErrorKind::kFatal);
  EXPECT_FALSE(snapshot->read("DELETE FROM outbox", {}, nothing, soon()));
  EXPECT_EQ(first(*snapshot, "SELECT COUNT(*) FROM users"), "3");
}

TEST_F(MysqlSqlReaderTest, LetsACallbackReadAnotherSnapshot) {
  const auto outer = open();
  const auto inner = open();
  std::size_t rows = 0;
  const auto read = outer->read(
      "SELECT id FROM products ORDER BY id", {},
      [&](SqlRow row) -> base::Result<void> {
        EXPECT_EQ(
            first(*inner, "SELECT COUNT(*) FROM inventory WHERE product_id = ?", {std::string(*row[0])}),
            "1");
        ++rows;
        return {};
      },
      soon());
  EXPECT_TRUE(read);
  EXPECT_EQ(rows, 6u);
}

TEST_F(MysqlSqlReaderTest, LeavesALongStatementBehindWhenItsThreadIsToStop) {
  const auto snapshot = open();
  base::StopSignal stop;
  const adapters::mysql::InterruptScope interrupt(stop);
  std::thread stopper([&] {
    // Not before the statement runs.
    const auto patience = soon();
    while (database_.value("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT "
                           "SLEEP(%'") == "0" &&
           !patience.passed())
      std::this_thread::yield();
    stop.request();
  });
  const auto deadline = base::Deadline::in(std::chrono::minutes(10));

  const auto read =
      snapshot->read("SELECT SLEEP(600)", {}, [](SqlRow) -> base::Result<void> { return {}; }, deadline);

  stopper.join();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(deadline.passed());
}

}  // namespace
}  // namespace millrace
