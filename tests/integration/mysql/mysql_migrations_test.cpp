#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/migrations.h"
#include "support/mariadb_fixture.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using adapters::mysql::embedded_migrations;
using adapters::mysql::init_db;
using adapters::mysql::Migration;

/// The first, which is run every time, is not recorded.
const std::size_t kMigrations = embedded_migrations().size() - 1;

base::Deadline soon() {
  return base::Deadline::in(20s);
}

TEST(MysqlMigrations, MakeTheTablesAndTheSampleShop) {
  const support::TestDatabase database;
  EXPECT_EQ(
      database.value("SELECT GROUP_CONCAT(table_name ORDER BY table_name) FROM information_schema.tables "
                     "WHERE table_schema = DATABASE()"),
      "dead_letters,inventory,jobs,orders,order_items,outbox,payments,products,relay_layout,relay_"
      "shards,relay_topics,schema_migrations,users");
  EXPECT_EQ(
      database.value(
          "SELECT GROUP_CONCAT(CONCAT(name, ' ', ROUND(price, 2)) ORDER BY id SEPARATOR ', ') FROM products"),
      "Laptop 1299.99, Wireless Mouse 29.99, Coffee Maker 89.99, Running Shoes 79.99, Backpack 49.99, Desk "
      "Lamp 34.99");
  EXPECT_EQ(database.value("SELECT GROUP_CONCAT(id ORDER BY id) FROM users"), "user-1,user-2,user-3");
  EXPECT_EQ(
      database.value("SELECT CONCAT(COUNT(*), ' ', MIN(available), ' ', MAX(available)) FROM inventory"),
      "6 100 100");
  EXPECT_EQ(database.value("SELECT GROUP_CONCAT(name ORDER BY version) FROM schema_migrations"),
            "001_tables,002_sample_shop,003_existing_shop,004_dead_letters,005_jobs,006_relay_layout");
}

/// The tables as a shop may have them that never heard of Millrace.
constexpr const char* kForeignShop =
    "CREATE TABLE users (id VARCHAR(36) PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password_hash "
    "VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL, phone VARCHAR(20), created_at TIMESTAMP DEFAULT "
    "CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, "
    "deleted_at TIMESTAMP NULL);"
    "CREATE TABLE products (id VARCHAR(36) PRIMARY KEY, name VARCHAR(255) NOT NULL, price DECIMAL(10,2) NOT "
    "NULL);"
    "CREATE TABLE inventory (id VARCHAR(36) PRIMARY KEY, product_id VARCHAR(36) NOT NULL UNIQUE, quantity "
    "INT NOT NULL, "
    "reserved INT NOT NULL);"
    "CREATE TABLE payments (id VARCHAR(36) PRIMARY KEY, order_id VARCHAR(36) NOT NULL, amount DECIMAL(10,2) "
    "NOT NULL, "
    "status VARCHAR(50) NOT NULL, method VARCHAR(50) NOT NULL);"
    "CREATE TABLE orders (id VARCHAR(36) PRIMARY KEY, user_id VARCHAR(36) NOT NULL, total_amount "
    "DECIMAL(10,2) "
    "NOT NULL, status VARCHAR(50) NOT NULL DEFAULT 'PENDING', shipping_address TEXT, created_at TIMESTAMP "
    "DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, "
    "deleted_at TIMESTAMP NULL, FOREIGN KEY (user_id) REFERENCES users(id));"
    "CREATE TABLE order_items (id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id VARCHAR(36) NOT NULL, "
    "product_id "
    "VARCHAR(36) NOT NULL, quantity INT NOT NULL, price DECIMAL(10,2) NOT NULL, created_at TIMESTAMP DEFAULT "
    "CURRENT_TIMESTAMP, FOREIGN KEY (order_id) REFERENCES orders(id));"
    "CREATE TABLE outbox (id BIGINT AUTO_INCREMENT PRIMARY KEY, aggregate_id VARCHAR(36) NOT NULL, "
    "aggregate_type VARCHAR(50) NOT NULL, event_type VARCHAR(50) NOT NULL, payload JSON NOT NULL, processed "
    "BOOLEAN DEFAULT FALSE, processed_at TIMESTAMP NULL, retry_count INT DEFAULT 0, created_at TIMESTAMP "
    "DEFAULT CURRENT_TIMESTAMP);"
    "INSERT INTO users (id, email, password_hash, name) VALUES ('u-1', 'u1@shop.example', 'x', 'One');"
    "INSERT INTO orders (id, user_id, total_amount) VALUES ('o-1', 'u-1', 5.00);";

TEST(MysqlMigrations, AddTheirColumnsToAShopThatIsThereAndLeaveTheSampleOut) {
  const auto address = support::MariadbServer::get().address("existing_shop");
  const auto server = support::MariadbServer::get().address("");
  const auto connection =
      adapters::mysql::Connection::open(server, "", adapters::mysql::Isolation::kReadCommitted, soon());
  ASSERT_TRUE(connection) << connection.error().message;
  const auto made =
      (*connection)
          ->script(std::string("CREATE DATABASE existing_shop; USE existing_shop;") + kForeignShop, soon());
  ASSERT_TRUE(made) << made.error().message;

  for (int start = 0; start < 2; ++start) {
    const auto report = init_db(address, {}, soon());
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->applied.size(), start == 0 ? kMigrations - 1 : 0u);
  }

  const auto value = [&](std::string_view select) {
    std::string text;
    const auto read = (*connection)
                          ->query(
                              select, {},
                              [&](adapters::mysql::Row row) -> base::Result<void> {
                                text = std::string(row[0].value_or("NULL"));
                                return {};
                              },
                              soon());
    EXPECT_TRUE(read) << read.error().message;
    return text;
  };
  EXPECT_EQ(value("SELECT CONCAT_WS('|', version, user_email, stock_reserved) FROM orders WHERE id = 'o-1'"),
            "0||0");
  EXPECT_EQ(value("SELECT COUNT(*) FROM users"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM products"), "0");
  const auto inserted =
      (*connection)
          ->script("INSERT INTO orders (id, user_id, total_amount) VALUES ('o-2', 'u-1', 6.00)", soon());
  EXPECT_TRUE(inserted) << inserted.error().message;
}

TEST(MysqlMigrations, LeaveTheSampleShopOutWhenAskedTo) {
  const support::TestDatabase database(false);
  EXPECT_EQ(database.value("SELECT COUNT(*) FROM products"), "0");
  EXPECT_EQ(database.value("SELECT COUNT(*) FROM schema_migrations WHERE name LIKE '%sample%'"), "0");
}

TEST(MysqlMigrations, ChangeNothingTheSecondTime) {
  const support::TestDatabase database;
  database.run("UPDATE products SET price = 1.00 WHERE id = 'prod-1'");

  const auto again = init_db(database.address(), {}, soon());

  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->database_created);
  EXPECT_TRUE(again->applied.empty());
  EXPECT_EQ(database.value("SELECT price FROM products WHERE id = 'prod-1'"), "1.0000");
}

TEST(MysqlMigrations, AreAppliedOnceWhenManyStartAtTheSameMoment) {
  const auto address = support::MariadbServer::get().address("many_at_once");
  std::atomic<std::size_t> applied = 0;
  std::vector<std::thread> starts;
  for (int i = 0; i < 6; ++i) {
    starts.emplace_back([&] {
      const auto report = init_db(address, {}, soon());
      EXPECT_TRUE(report) << (report ? "" : report.error().message);
      if (report) applied += report->applied.size();
    });
  }
  for (std::thread& start : starts) start.join();
  EXPECT_EQ(applied, kMigrations);
}

TEST(MysqlMigrations, GoOnWhereAKilledProcessLeftOff) {
  const support::TestDatabase database;
  // The tables are there, their record is not.
  database.run("DELETE FROM schema_migrations");
  database.run("DROP TABLE outbox");

  const auto again = init_db(database.address(), {}, soon());

  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->applied.size(), kMigrations);
  EXPECT_EQ(database.value("SELECT COUNT(*) FROM outbox"), "0");
  EXPECT_EQ(database.value("SELECT COUNT(*) FROM users"), "3");
}

TEST(MysqlMigrations, AreAllDoneAfterTheScriptForTheCommandLineClient) {
  std::ifstream file(MILLRACE_INIT_SCRIPT);
  const std::string script(std::istreambuf_iterator<char>(file), {});
  auto address = support::MariadbServer::get().address("ecommerce");
  const auto connection =
      adapters::mysql::Connection::open(address, "", adapters::mysql::Isolation::kReadCommitted, soon());
  ASSERT_TRUE(connection);
  for (int twice = 0; twice < 2; ++twice) {
    const auto run = (*connection)->script(script, soon());
    ASSERT_TRUE(run) << run.error().message;
  }

  const auto again = init_db(address, {}, soon());

  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->database_created);
  EXPECT_TRUE(again->applied.empty());
}

TEST(MysqlMigrations, RefuseADatabaseMadeFromOtherFiles) {
  const support::TestDatabase database;
  database.run("UPDATE schema_migrations SET checksum = REPEAT('0', 64) WHERE version = 1");

  const auto refused = init_db(database.address(), {}, soon());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kConflict);
  EXPECT_NE(refused.error().message.find("001_tables"), std::string::npos) << refused.error().message;
}

TEST(MysqlMigrations, RefuseADatabaseOfANewerProgram) {
  const support::TestDatabase database;
  database.run("INSERT INTO schema_migrations (version, name, checksum) VALUES (900, '900_future', '')");

  EXPECT_EQ(init_db(database.address(), {}, soon()).error().kind, base::ErrorKind::kConflict);
}

TEST(MysqlMigrations, NameTheOneThatFails) {
  const support::TestDatabase database;
  std::vector<Migration> migrations;
  for (const Migration& migration : embedded_migrations()) migrations.push_back(migration);
  migrations.push_back({.version = 900,
                        .name = "900_wrong",
                        .checksum = "x",
                        .statements = "CREATE TABLE t (id INT); CREATE WRONG;"});

  const auto failed = init_db(database.address(), {}, migrations, soon());

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(failed.error().message.find("migration 900_wrong"), 0u) << failed.error().message;
  EXPECT_EQ(database.value("SELECT COUNT(*) FROM schema_migrations WHERE version >= 900"), "0");
}

TEST(MysqlMigrations, SayThatTheServerIsAwayOrRefuses) {
  auto address = support::MariadbServer::get().address("nowhere");
  address.password = "wrong";
  const auto refused = init_db(address, {}, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kFatal);
  EXPECT_EQ(refused.error().message.find("wrong'"), std::string::npos) << refused.error().message;

  address.port = 1;
  const auto away = init_db(address, {}, soon());
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().kind, base::ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace millrace
