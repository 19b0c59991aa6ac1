// Port SqlReader over the MySQL protocol.
#pragma once

#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/sql_reader.h"

namespace millrace::adapters::mysql {

/// Thread-safe; each snapshot has a connection of its own, which lives as long as the snapshot. Rows are
/// streamed: the server waits for a slow reader, so a long callback keeps the snapshot open and nothing else.
class MysqlSqlReader final : public ports::SqlReader {
 public:
  explicit MysqlSqlReader(ServerAddress address) : address_(std::move(address)) {}
  base::Result<std::unique_ptr<ports::SqlSnapshot>> open_snapshot(base::Deadline deadline) override;

 private:
  const ServerAddress address_;
};

}  // namespace millrace::adapters::mysql
