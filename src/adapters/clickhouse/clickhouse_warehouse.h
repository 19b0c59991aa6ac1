// ports::Warehouse over ClickHouse's HTTP interface.
#pragma once

#include <string>

#include "ports/http.h"
#include "ports/warehouse.h"

namespace millrace::adapters::clickhouse {

struct Options {
  std::string url = "http://127.0.0.1:8123";  ///< http or https, host and port, no path.
  std::string user = "admin";
  std::string password;
};

/// Thread-safe, as the client is; the client must outlive it.
class ClickhouseWarehouse final : public ports::Warehouse {
 public:
  ClickhouseWarehouse(ports::HttpClient& client, Options options);

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
  [[nodiscard]] base::Result<void> post(const std::string& target, std::string_view body,
                                        const std::function<base::Result<void>(std::string_view)>& sink,
                                        base::Deadline deadline);

  ports::HttpClient& client_;
  Options options_;
};

/// What a caller does about a ClickHouse error code. Only rows that no table of this shape can take are
/// kRejected: a wrongly rejected row waits for a person, a wrongly awaited one is only late. Source:
/// ClickHouse src/Common/ErrorCodes.cpp.
[[nodiscard]] base::ErrorKind kind_of_code(int code);

}  // namespace millrace::adapters::clickhouse
