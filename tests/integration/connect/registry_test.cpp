// The connector's state on the real engine.
#include "connect/registry.h"

#include <gtest/gtest.h>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "support/warehouse_fixture.h"

namespace millrace::connect {
namespace {

base::Deadline soon() {
  return base::Deadline::in(std::chrono::milliseconds(20'000));
}

TEST(WarehouseRegistry, KeepsTheNewestRevisionOverAKill) {
  support::WarehouseServer server;
  adapters::curl::CurlHttpClient client{{}};
  adapters::clickhouse::ClickhouseWarehouse warehouse{
      client, {.url = server.url(), .user = "admin", .password = "test123"}};
  support::WarehouseServer::create_schema(warehouse);
  WarehouseRegistry registry(warehouse, {{"topics", "orders_analytics"}});

  const auto built_in = registry.read(soon());
  ASSERT_TRUE(built_in) << built_in.error().message;
  EXPECT_EQ(built_in->config.at("topics"), "orders_analytics");
  EXPECT_EQ(built_in->revision, 0U);
  EXPECT_EQ(built_in->target, TargetState::kRunning);

  const Connector paused{.config = {{"odd", "\"quotes\", back\\slash,\ttab\nand \xc3\xa9 {name:String}"}},
                         .target = TargetState::kPaused,
                         .restarts = 3,
                         .revision = 1};
  ASSERT_TRUE(registry.write(paused, soon()));
  Connector deleted = paused;
  deleted.target = TargetState::kDeleted;
  deleted.revision = 0xFFFF'FFFF'FFFFULL;
  ASSERT_TRUE(registry.write(deleted, soon()));
  server.kill_and_restart();

  const auto read = registry.read(soon());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->config, paused.config);
  EXPECT_EQ(read->target, TargetState::kDeleted);
  EXPECT_EQ(read->restarts, 3U);
  EXPECT_EQ(read->revision, deleted.revision);
}

}  // namespace
}  // namespace millrace::connect
