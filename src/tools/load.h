// A load of orders through the HTTP API: the gentle demo stream, and the end-to-end measurement.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/stop.h"
#include "ports/http.h"
#include "ports/warehouse.h"

namespace millrace::tools {

struct LoadOptions {
  std::string api_url = "http://127.0.0.1:3000";
  double orders_per_second = 2;           ///< Sent on a fixed schedule, whatever the answers take.
  std::chrono::milliseconds duration{0};  ///< 0: until stopped.
  std::size_t workers =
      1;  ///< Requests at once; when all wait, the schedule slips, and the report says by how much.
  double delete_share = 0;  ///< Of the orders made, how many are deleted again a little later, from 0 to 1.
  std::chrono::milliseconds delete_delay{3'000};  ///< From an order's answer to its deletion.
  std::uint64_t seed = 1;
  std::int64_t stock_level =
      1'000'000;  ///< Stock of every product, set at the start and whenever it runs out.
};

struct Percentiles {
  double p50_ms = 0;
  double p90_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
  std::size_t samples = 0;
};

struct LoadReport {
  double seconds = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  ///< Answers other than 201.
  std::uint64_t failed = 0;   ///< No answer.
  std::uint64_t deleted = 0;
  Percentiles accept;   ///< Request to answer.
  Percentiles visible;  ///< Answer to visible in the views; only with a warehouse to watch.
  double schedule_slip_ms_max = 0;
};

/// Sends orders of random users and products. With `watch` it also measures how long after its answer an
/// order is counted in analytics.order_status_mv, by the number of orders there (see VisibleOrders); nobody
/// else may make or delete orders meanwhile. Errors: kUnavailable (no catalogue, no users), kInvalid
/// (options).
[[nodiscard]] base::Result<LoadReport> run_load(ports::HttpClient& client, ports::Warehouse* watch,
                                                const LoadOptions& options, const base::StopSignal& stop);

[[nodiscard]] std::string to_json(const LoadReport& report);

}  // namespace millrace::tools
