// ports::Warehouse over ClickHouse's HTTP interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ports/warehouse.h"

namespace millrace::adapters::clickhouse {

struct Options {
  std::string url = "http://127.0.0.1:8123";  ///< http or https, host and port, no path.
  std::string user = "admin";
  std::string password;
  std::size_t connections_max = 8;  ///< Requests at once; more wait for their turn until their deadline.
  std::string ca_file;              ///< For https; empty: the system's.
};

/// Thread-safe. Keeps connections open between requests.
class ClickhouseWarehouse final : public ports::Warehouse {
 public:
  explicit ClickhouseWarehouse(Options options);
  ~ClickhouseWarehouse() override;

  base::Result<void> execute(std::string_view statement, std::span<const ports::QueryParameter> parameters,
                             base::Deadline deadline) override;
  base::Result<std::string> query(std::string_view statement, std::string_view format,
                                  std::span<const ports::QueryParameter> parameters,
                                  base::Deadline deadline) override;
  base::Result<void> query_stream(std::string_view statement, std::string_view format,
                                  std::span<const ports::QueryParameter> parameters,
                                  const std::function<base::Result<void>(std::string_view)>& sink,
                                  base::Deadline deadline) override;
  base::Result<void> insert(std::string_view table, std::span<const std::string_view> columns,
                            std::string_view format, std::string_view data, base::Deadline deadline) override;
  base::Result<void> ping(base::Deadline deadline) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a caller does about a ClickHouse error code. Only what can never succeed is kRejected: a wrongly
/// rejected record is lost to the tables, a wrongly awaited one is only late. Source: ClickHouse
/// src/Common/ErrorCodes.cpp.
[[nodiscard]] base::ErrorKind kind_of_code(int code);

}  // namespace millrace::adapters::clickhouse
