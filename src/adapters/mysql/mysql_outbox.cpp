#include "adapters/mysql/mysql_outbox.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/mysql/pool.h"
#include "adapters/mysql/statements.h"
#include "base/assert.h"
#include "base/text.h"
#include "base/uuid.h"

namespace millrace::adapters::mysql {
namespace {

/// Orders with a parked row, and the first of those.
using ParkedFrom = std::unordered_map<std::string, std::uint64_t>;

constexpr std::size_t kRemoveRowsMax = 1'024;  // of one DELETE, so that it holds its locks for a moment only

std::string lock_name(const std::string& database, std::int32_t shard) {
  std::string name = fmt::format("millrace-relay {} {}", database, shard);
  // MySQL takes 64 characters.
  return name.size() <= 64 ? name : "millrace-relay " + base::uuid_v5_url(name);
}

base::Result<ports::OutboxRow> read_outbox_row(Row row) {
  ports::OutboxRow read;
  const auto id = base::parse_int<std::uint64_t>(row[0].value_or(""));
  const auto retries = base::parse_int<std::int32_t>(row[5].value_or(""));
  if (!id || !retries) return base::fatal("the outbox holds no number where one must be: check its schema");
  read.id = *id;
  read.aggregate_id = row[1].value_or("");
  read.aggregate_type = row[2].value_or("");
  read.event_type = row[3].value_or("");
  read.payload = row[4].value_or("");
  read.retry_count = *retries;
  MILLRACE_TRY_ASSIGN(read.created_at, base::parse_utc(row[6].value_or("")));
  return read;
}

base::Result<std::uint64_t> read_epoch(Connection& connection, std::int32_t shard, std::string_view locking,
                                       base::Deadline deadline) {
  std::uint64_t epoch = 0;
  const Value key = std::int64_t{shard};
  MILLRACE_TRY(connection.query(
      fmt::format("SELECT epoch FROM relay_shards WHERE shard = ?{}", locking), {&key, 1},
      [&](Row row) -> base::Result<void> {
        epoch = base::parse_int<std::uint64_t>(row[0].value_or("")).value_or(0);
        return {};
      },
      deadline));
  return epoch;
}

class Lease final : public ports::OutboxLease {
 public:
  Lease(Pool& pool, std::unique_ptr<Connection> connection, const OutboxOptions& options, std::int32_t shard,
        std::uint64_t epoch, ParkedFrom parked)
      : pool_(pool),
        connection_(std::move(connection)),
        options_(options),
        shard_(shard),
        epoch_(epoch),
        parked_(std::move(parked)) {}

  std::uint64_t epoch() const override { return epoch_; }

  base::Result<std::vector<ports::OutboxRow>> fetch(std::size_t rows_max, base::Deadline deadline) override {
    MILLRACE_TRY(check_lock());
    std::vector<ports::OutboxRow> rows;
    // Parking an order can empty the batch; the bound is the number of parked orders.
    while (true) {
      MILLRACE_TRY_ASSIGN(rows, read_rows(rows_max, deadline));
      std::vector<std::pair<std::uint64_t, std::string>> behind;
      for (const ports::OutboxRow& row : rows)
        if (const auto first = parked_.find(row.aggregate_id);
            first != parked_.end() && row.id > first->second)
          behind.emplace_back(row.id, row.aggregate_id);
      if (behind.empty()) return rows;
      for (const auto& [id, aggregate_id] : behind) MILLRACE_TRY(park(id, aggregate_id, deadline));
    }
  }

  base::Result<void> mark_processed(std::span<const std::uint64_t> ids, base::Deadline deadline) override {
    if (ids.empty()) return {};
    return under_epoch(deadline, [&](Connection& connection) {
      return in_chunks(
          ids, [](std::uint64_t id) { return id; },
          [&](std::span<const Value> values, const std::string& list) -> base::Result<void> {
            MILLRACE_TRY(
                connection.execute("UPDATE outbox SET processed = 1, processed_at = UTC_TIMESTAMP(3) WHERE "
                                   "processed = 0 AND id IN " +
                                       list,
                                   values, deadline));
            return {};
          });
    });
  }

  base::Result<void> park(std::uint64_t id, const std::string& aggregate_id,
                          base::Deadline deadline) override {
    std::uint64_t parked = 0;
    const auto change = [&](Connection& connection) -> base::Result<void> {
      const Value values[] = {id, std::string_view(aggregate_id)};
      MILLRACE_TRY_ASSIGN(
          parked,
          connection.execute("UPDATE outbox SET parked = 1 WHERE processed = 0 AND parked = 0 AND id >= ? "
                             "AND aggregate_id = ?",
                             values, deadline));
      return {};
    };
    MILLRACE_TRY(under_epoch(deadline, change));
    const auto known = parked_.try_emplace(aggregate_id, id).first;
    known->second = std::min(known->second, id);
    spdlog::warn("outbox: parked {} rows of {} from row {} on", parked, base::printable(aggregate_id, 80),
                 id);
    return {};
  }

  base::Result<std::size_t> remove_processed(base::UtcTime before, std::size_t rows_max,
                                             base::Deadline deadline) override {
    std::size_t removed = 0;
    const std::string limit = base::to_sql(before);
    while (removed < rows_max) {
      MILLRACE_TRY_ASSIGN(const Lent connection, pool_.take(deadline));
      // Looks at the oldest rows only: the young ones behind them, which may be millions, are never read.
      std::vector<std::uint64_t> ids;
      const std::size_t wanted = std::min(rows_max - removed, kRemoveRowsMax);
      const Value values[] = {std::string_view(limit), std::uint64_t{wanted}};
      MILLRACE_TRY(connection->query(
          "SELECT id, processed_at < ? FROM outbox WHERE processed = 1 AND parked = 0 ORDER BY id LIMIT ?",
          values,
          [&](Row row) -> base::Result<void> {
            if (row[1] == "1") ids.push_back(base::parse_int<std::uint64_t>(*row[0]).value_or(0));
            return {};
          },
          deadline));
      if (ids.empty()) break;
      const auto remove = [&](std::span<const Value> chunk, const std::string& list) -> base::Result<void> {
        MILLRACE_TRY(connection->execute("DELETE FROM outbox WHERE id IN " + list, chunk, deadline));
        return {};
      };
      MILLRACE_TRY(in_chunks(ids, [](std::uint64_t id) { return id; }, remove));
      removed += ids.size();
      if (ids.size() < wanted) break;
    }
    return removed;
  }

 private:
  base::Result<void> check_lock() const {
    if (connection_->usable() && connection_->looks_alive()) return {};
    return base::conflict(
        fmt::format("the lock of outbox shard {} is lost with its connection: acquire it again", shard_));
  }

  base::Result<std::vector<ports::OutboxRow>> read_rows(std::size_t rows_max, base::Deadline deadline) {
    std::vector<ports::OutboxRow> rows;
    std::size_t bytes = 0;
    std::vector<Value> values;
    std::string_view of_shard;
    if (options_.shards > 1) {
      of_shard = "AND MOD(MOD(CRC32(aggregate_id), ?), ?) = ? ";
      values = {std::int64_t{options_.partitions}, std::int64_t{options_.shards}, std::int64_t{shard_}};
    }
    values.emplace_back(std::uint64_t{rows_max});
    MILLRACE_TRY(connection_->query(
        fmt::format("SELECT id, aggregate_id, aggregate_type, event_type, payload, retry_count, created_at "
                    "FROM outbox "
                    "WHERE processed = 0 AND parked = 0 {}ORDER BY id LIMIT ?",
                    of_shard),
        values,
        [&](Row row) -> base::Result<void> {
          // What is above the bound is read again by the next fetch; dropping it here keeps the connection in
          // step.
          if (bytes > options_.fetch_bytes_max) return {};
          MILLRACE_TRY_ASSIGN(ports::OutboxRow read, read_outbox_row(row));
          bytes += read.payload.size();
          rows.push_back(std::move(read));
          return {};
        },
        deadline));
    return rows;
  }

  /// Runs `change` in a transaction that holds the shard's epoch row and has found our epoch in it. Needs no
  /// lock of ours: even after its connection is lost, nobody else has taken over as long as the epoch stands.
  template <class Change>
  base::Result<void> under_epoch(base::Deadline deadline, Change change) {
    MILLRACE_TRY_ASSIGN(Lent connection, pool_.take(deadline));
    MILLRACE_TRY(connection->command("START TRANSACTION", deadline));
    base::Result<void> changed = check_epoch(*connection, deadline);
    if (changed) changed = change(*connection);
    if (changed) changed = connection->command("COMMIT", deadline);
    if (!changed) connection.discard();
    return changed;
  }

  base::Result<void> check_epoch(Connection& connection, base::Deadline deadline) const {
    MILLRACE_TRY_ASSIGN(const std::uint64_t now, read_epoch(connection, shard_, " FOR UPDATE", deadline));
    if (now == epoch_) return {};
    return base::conflict(fmt::format(
        "outbox shard {} has epoch {}, ours is {}: another relay has taken over", shard_, now, epoch_));
  }

  Pool& pool_;
  std::unique_ptr<Connection> connection_;  // holds the named lock
  const OutboxOptions options_;
  const std::int32_t shard_;
  const std::uint64_t epoch_;
  ParkedFrom parked_;  // later rows of these orders must not overtake the parked one
};

}  // namespace

class MysqlOutbox::Impl {
 public:
  // Leases write one after the other; the others are for depth and a stand-by.
  Impl(ServerAddress address, OutboxOptions given)
      : pool(std::move(address), static_cast<std::size_t>(given.shards) + 2), options(given) {
    MILLRACE_ASSERT(options.shards >= 1 && options.partitions >= 1);
  }

  Pool pool;
  const OutboxOptions options;
};

MysqlOutbox::MysqlOutbox(ServerAddress address, OutboxOptions options)
    : impl_(std::make_unique<Impl>(std::move(address), options)) {}
MysqlOutbox::~MysqlOutbox() = default;

base::Result<std::unique_ptr<ports::OutboxLease>> MysqlOutbox::acquire(std::int32_t shard,
                                                                       base::Deadline deadline) {
  const ServerAddress& address = impl_->pool.address();
  MILLRACE_TRY_ASSIGN(auto connection,
                      Connection::open(address, address.database, Isolation::kReadCommitted, deadline));
  bool locked = false;
  const Value name = lock_name(address.database, shard);
  MILLRACE_TRY(connection->query(
      "SELECT GET_LOCK(?, 0)", {&name, 1},
      [&](Row row) -> base::Result<void> {
        locked = row[0] == "1";
        return {};
      },
      deadline));
  if (!locked) return base::conflict(fmt::format("another relay holds outbox shard {}", shard));

  MILLRACE_TRY(connection->command("START TRANSACTION", deadline));
  const Value key = std::int64_t{shard};
  MILLRACE_TRY(connection->execute(
      "INSERT INTO relay_shards (shard, epoch, updated_at) VALUES (?, 1, UTC_TIMESTAMP(3)) "
      "ON DUPLICATE KEY UPDATE epoch = epoch + 1, updated_at = UTC_TIMESTAMP(3)",
      {&key, 1}, deadline));
  MILLRACE_TRY_ASSIGN(const std::uint64_t epoch, read_epoch(*connection, shard, "", deadline));
  MILLRACE_TRY(connection->command("COMMIT", deadline));

  ParkedFrom parked;
  MILLRACE_TRY(connection->query(
      "SELECT aggregate_id, MIN(id) FROM outbox WHERE processed = 0 AND parked = 1 GROUP BY aggregate_id", {},
      [&](Row row) -> base::Result<void> {
        parked.emplace(row[0].value_or(""), base::parse_int<std::uint64_t>(row[1].value_or("")).value_or(0));
        return {};
      },
      deadline));
  return std::make_unique<Lease>(impl_->pool, std::move(connection), impl_->options, shard, epoch,
                                 std::move(parked));
}

base::Result<ports::OutboxDepth> MysqlOutbox::depth(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const Lent connection, impl_->pool.take(deadline));
  ports::OutboxDepth depth;
  MILLRACE_TRY(connection->query(
      "SELECT parked, COUNT(*) FROM outbox WHERE processed = 0 GROUP BY parked", {},
      [&](Row row) -> base::Result<void> {
        (row[0] == "0" ? depth.waiting : depth.parked) = base::parse_int<std::uint64_t>(*row[1]).value_or(0);
        return {};
      },
      deadline));
  return depth;
}

}  // namespace millrace::adapters::mysql
