#include "adapters/mysql/outbox_removal.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/mysql/statements.h"

namespace millrace::adapters::mysql {
namespace {

// Fewer are removed one by one.
constexpr std::size_t kListMin = 128;
constexpr int kLockWaitTimeout = 1205;  // ER_LOCK_WAIT_TIMEOUT

base::Result<void> remove_one_by_one(Connection& connection, std::span<const std::uint64_t> ids,
                                     base::Deadline deadline) {
  for (const std::uint64_t id : ids) {
    const Value key = id;
    MILLRACE_TRY(connection.execute("DELETE FROM outbox WHERE id = ?", {&key, 1}, deadline));
  }
  return {};
}

/// A list of keys is quick, but where it names much of a small table the server reads, and locks, all rows of
/// it, others' too; single keys never wait for those.
base::Result<void> remove_rows(Connection& connection, std::span<const std::uint64_t> ids,
                               base::Deadline deadline) {
  if (ids.size() < kListMin) return remove_one_by_one(connection, ids, deadline);
  const auto remove = [&](std::span<const Value> chunk, const std::string& list) -> base::Result<void> {
    MILLRACE_TRY(connection.execute("DELETE FROM outbox WHERE id IN " + list, chunk, deadline));
    return {};
  };
  auto removed = in_chunks(ids, [](std::uint64_t id) { return id; }, remove);
  // The statement was rolled back, and not its transaction.
  if (!removed && removed.error().vendor_code == kLockWaitTimeout)
    return remove_one_by_one(connection, ids, deadline);
  return removed;
}

}  // namespace

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
  MILLRACE_TRY(remove_rows(connection, ids, deadline));
  MILLRACE_TRY(connection.command("COMMIT", deadline));
  return ids.size();
}

}  // namespace millrace::adapters::mysql
