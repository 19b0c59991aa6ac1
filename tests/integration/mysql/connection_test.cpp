// What a connection makes of errors. Servers that are configured in other ways than ours:
// tests/e2e/test_own_servers.py.
#include "adapters/mysql/connection.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/mariadb_fixture.h"

namespace millrace::adapters::mysql {
namespace {

using support::TestDatabase;

base::Deadline soon() {
  return base::Deadline::in(std::chrono::seconds(20));
}

class MysqlConnectionTest : public testing::Test {
 protected:
  std::unique_ptr<Connection> open() {
    auto connection = Connection::open(database_.address(), database_.address().database,
                                       Isolation::kReadCommitted, soon());
    EXPECT_TRUE(connection) << connection.error().message;
    return connection ? std::move(*connection) : nullptr;
  }
  TestDatabase database_{false};
};

TEST_F(MysqlConnectionTest, ShowsAnErrorThatComesBetweenTwoRows) {
  database_.run("CREATE TABLE numbers (id BIGINT PRIMARY KEY)");
  database_.run("INSERT INTO numbers VALUES (0)");
  for (int doubled = 1; doubled < 16'384; doubled *= 2)
    database_.run(fmt::format("INSERT INTO numbers SELECT id + {} FROM numbers", doubled));
  const auto connection = open();
  std::size_t rows = 0;
  // The last row's sum is more than a BIGINT holds.
  const auto read = connection->query(
      "SELECT id, id + 9223372036854759425 FROM numbers ORDER BY id", {},
      [&](Row) -> base::Result<void> {
        ++rows;
        return {};
      },
      soon());
  ASSERT_FALSE(read);
  EXPECT_GT(rows, 0u);
  EXPECT_EQ(read.error().vendor_code, 1690) << read.error().message;
  EXPECT_EQ(read.error().kind, base::ErrorKind::kInvalid);
  EXPECT_NE(read.error().message.find("out of range"), std::string::npos) << read.error().message;
  // The connection itself is well.
  EXPECT_TRUE(connection->command("DO 1", soon()));
}

}  // namespace
}  // namespace millrace::adapters::mysql
