// Stage 5: sales questions and their answers, from the views of the warehouse.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"
#include "domain/money.h"
#include "ports/warehouse.h"

namespace millrace::analytics {

struct DailySales {
  std::chrono::sys_days order_date;
  std::uint64_t order_count = 0;
  domain::Money total_revenue;
  domain::Money avg_order_value;
  std::uint64_t unique_customers = 0;
  friend bool operator==(const DailySales&, const DailySales&) = default;
};

struct HourlySales {
  base::UtcTime order_hour;  ///< The hour's beginning.
  std::uint64_t order_count = 0;
  domain::Money total_revenue;
  domain::Money avg_order_value;
  friend bool operator==(const HourlySales&, const HourlySales&) = default;
};

struct StatusCount {
  std::chrono::sys_days order_date;
  std::string status;
  std::uint64_t order_count = 0;
  domain::Money total_amount;
  friend bool operator==(const StatusCount&, const StatusCount&) = default;
};

/// Over all time.
struct Stats {
  std::uint64_t total_orders = 0;
  domain::Money total_revenue;
  domain::Money avg_order_value;  ///< Revenue over orders, half a cent rounded up; 0 without orders.
  std::uint64_t unique_customers = 0;
  friend bool operator==(const Stats&, const Stats&) = default;
};

struct SalesRange {
  std::optional<std::chrono::sys_days> first_day = std::nullopt;  ///< In UTC, itself included.
  std::optional<std::chrono::sys_days> last_day = std::nullopt;   ///< In UTC, itself included.
  std::uint32_t rows_max = 1000;
};

struct Options {
  std::string database = "analytics";  ///< Where the views are.
};

/// Revenue over orders to the cent, half a cent away from zero.
[[nodiscard]] domain::Money average(domain::Money revenue, std::uint64_t orders);

/// Thread-safe. Cancelled and refunded orders are no sales, deleted ones count nowhere. Errors of every
/// question: kUnavailable (the warehouse is unavailable, too slow, or its tables are not made yet), kFatal
/// (refused credentials, or an answer of another shape).
class Analytics {
 public:
  explicit Analytics(ports::Warehouse& warehouse, Options options = {});

  // Rows come newest first; days and hours without orders have none.
  [[nodiscard]] base::Result<std::vector<DailySales>> daily_sales(const SalesRange& range,
                                                                  base::Deadline deadline);
  [[nodiscard]] base::Result<std::vector<HourlySales>> hourly_sales(const SalesRange& range,
                                                                    base::Deadline deadline);
  /// One row per day and status, all statuses.
  [[nodiscard]] base::Result<std::vector<StatusCount>> order_status(const SalesRange& range,
                                                                    base::Deadline deadline);
  [[nodiscard]] base::Result<Stats> stats(base::Deadline deadline);
  /// Success if the warehouse answers a query.
  [[nodiscard]] base::Result<void> health(base::Deadline deadline);

 private:
  [[nodiscard]] base::Result<std::string> ask(const std::string& statement, const SalesRange& range,
                                              base::Deadline deadline);

  ports::Warehouse& warehouse_;
  std::string daily_sales_statement_;
  std::string hourly_sales_statement_;
  std::string order_status_statement_;
  std::string stats_statement_;
};

}  // namespace millrace::analytics
