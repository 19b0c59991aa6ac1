#include "adapters/mysql/mysql_sql_reader.h"

#include <string>
#include <vector>

#include "adapters/mysql/connection.h"

namespace millrace::adapters::mysql {
namespace {

class Snapshot final : public ports::SqlSnapshot {
 public:
  explicit Snapshot(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  base::Result<void> read(std::string_view select, std::span<const std::string> parameters,
                          const std::function<base::Result<void>(ports::SqlRow)>& on_row,
                          base::Deadline deadline) override {
    std::vector<Value> values;
    values.reserve(parameters.size());
    for (const std::string& parameter : parameters) values.emplace_back(std::string_view(parameter));
    std::vector<std::optional<std::string_view>> texts;
    return connection_->query(
        select, values,
        [&](Row row) {
          texts.assign(row.begin(), row.end());
          return on_row(texts);
        },
        deadline);
  }

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace

base::Result<std::unique_ptr<ports::SqlSnapshot>> MysqlSqlReader::open_snapshot(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto connection,
                      Connection::open(address_, address_.database, Isolation::kRepeatableRead, deadline));
  // The server hangs up on a reader that takes no bytes for this long; the default of a minute is short for a
  // reader that compares each row with another system.
  MILLRACE_TRY(connection->command("SET SESSION net_write_timeout = 3600", deadline));
  MILLRACE_TRY(connection->command("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", deadline));
  return std::make_unique<Snapshot>(std::move(connection));
}

}  // namespace millrace::adapters::mysql
