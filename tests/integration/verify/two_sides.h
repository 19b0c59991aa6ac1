// A small shop on both sides of the pipeline, written by the test itself: what is right, and single errors
// planted in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/clickhouse/clickhouse_warehouse.h"
#include "adapters/curl/curl_http_client.h"
#include "support/mariadb_fixture.h"

namespace millrace::verify {

struct SampleLine {
  std::string product_id;
  std::string product_name;
  std::int64_t quantity = 1;
  std::int64_t price = 0;  ///< In units of 10^-4.
};

struct SampleOrder {
  std::string id;
  std::string user_id;
  std::string user_email;
  std::int64_t created_ms = 0;
  std::string status;
  std::string method;
  std::string payment_status;
  std::uint64_t version = 0;
  std::optional<std::int64_t> deleted_ms;
  std::vector<SampleLine> lines;

  /// Σ quantity × price, half up to cents.
  [[nodiscard]] std::int64_t total_cents() const;
  [[nodiscard]] std::int64_t items_count() const;
  /// As an image in an event.
  [[nodiscard]] std::string image_json() const;
};

/// `count` orders over five days: all statuses, some deleted lately and some long ago, texts that only differ
/// in case or end in a blank, and texts that need escaping. Always the same ones.
[[nodiscard]] std::vector<SampleOrder> sample_orders(std::size_t count);

class TwoSides {
 public:
  TwoSides();

  [[nodiscard]] adapters::clickhouse::ClickhouseWarehouse& warehouse() { return warehouse_; }
  [[nodiscard]] const support::TestDatabase& database() const { return database_; }

  /// Both throw on errors.
  void run(const std::string& statement);
  void insert(const std::string& table, const std::string& tab_separated);

  void store_orders(const std::vector<SampleOrder>& orders);
  /// One transaction: the order as it is now, and the event that says so.
  void store_with_event(const SampleOrder& order, const std::optional<SampleOrder>& before);
  /// The base rows, and the lines in sample.lines; orders deleted more than 7 days ago are purged.
  void load_base(const std::vector<SampleOrder>& orders);
  /// Tables of the views' names and columns with what the base rows and lines come to, so that single values
  /// can be planted.
  void replace_views_by_tables();
  /// What the base rows and lines come to, in the rollups behind the real views, as one source.
  void load_rollups();

 private:
  support::TestDatabase database_;
  adapters::curl::CurlHttpClient client_;
  adapters::clickhouse::ClickhouseWarehouse warehouse_;
};

/// One row for analytics.orders_analytics, in the order of its columns.
[[nodiscard]] std::string base_row(const SampleOrder& order);

}  // namespace millrace::verify
