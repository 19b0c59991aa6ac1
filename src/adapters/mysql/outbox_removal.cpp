#include "adapters/mysql/outbox_removal.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/mysql/statements.h"

namespace millrace::adapters::mysql {

base::Result<std::size_t> remove_portion(Connection& connection, base::UtcTime before, std::size_t rows_max,
                                         base::Deadline deadline) {
  MILLRACE_TRY(connection.command("START TRANSACTION", deadline));
  std::vector<std::uint64_t> ids;
  const std::string limit = base::to_sql(before);
  const Value values[] = {std::string_view(limit), std::uint64_t{rows_max}};
  MILLRACE_TRY(connection.query(
      "SELECT id, processed_at < ? FROM outbox WHERE processed = 1 AND parked = 0 ORDER BY id LIMIT ? FOR "
      "UPDATE SKIP LOCKED",
      values,
      [&](Row row) -> base::Result<void> {
        if (row[1] == "1") ids.push_back(row[0].integer<std::uint64_t>().value_or(0));
        return {};
      },
      deadline));
  const auto remove = [&](std::span<const Value> chunk, const std::string& list) -> base::Result<void> {
    MILLRACE_TRY(connection.execute("DELETE FROM outbox WHERE id IN " + list, chunk, deadline));
    return {};
  };
  MILLRACE_TRY(in_chunks(ids, [](std::uint64_t id) { return id; }, remove));
  MILLRACE_TRY(connection.command("COMMIT", deadline));
  return ids.size();
}

}  // namespace millrace::adapters::mysql
