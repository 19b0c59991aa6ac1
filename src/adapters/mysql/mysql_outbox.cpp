#include "adapters/mysql/mysql_outbox.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "adapters/mysql/outbox_removal.h"
#include "adapters/mysql/pool.h"
#include "adapters/mysql/statements.h"
#include "base/assert.h"
#include "base/text.h"
#include "base/uuid.h"

namespace millrace::adapters::mysql {
namespace {

/// Orders with a parked row, and the first of those.
using ParkedFrom = std::unordered_map<std::string, std::uint64_t>;

constexpr std::size_t kRunMin = 8;  // consecutive ids from this many on are marked as a range

std::string lock_name(const std::string& database, std::int32_t shard) {
  std::string name = fmt::format("millrace-relay {} {}", database, shard);
  // MySQL takes 64 characters.
  return name.size() <= 64 ? name : "millrace-relay " + base::uuid_v5_url(name);
}

/// The one number that a query answers with; `missing` if it has no row or NULL.
template <class Number>
base::Result<Number> read_number(Connection& connection, std::string_view sql, std::span<const Value> values,
                                 Number missing, base::Deadline deadline) {
  Number number = missing;
  MILLRACE_TRY(connection.query(
      sql, values,
      [&](Row row) -> base::Result<void> {
        number = row[0].template integer<Number>().value_or(missing);
        return {};
      },
      deadline));
  return number;
}

/// A lock of the server's, which lives as long as the connection.
base::Result<bool> take_lock(Connection& connection, const std::string& database, std::int32_t shard,
                             base::Deadline deadline) {
  const Value name = lock_name(database, shard);
  MILLRACE_TRY_ASSIGN(const int locked,
                      read_number<int>(connection, "SELECT GET_LOCK(?, 0)", {&name, 1}, 0, deadline));
  return locked == 1;
}

base::Result<ports::OutboxRow> read_outbox_row(Row row) {
  ports::OutboxRow read;
  const auto id = row[0].integer<std::uint64_t>();
  if (!id) return base::fatal("the outbox holds no number where one must be: check its schema");
  read.id = *id;
  read.aggregate_id = row[1].value_or("");
  read.aggregate_type = row[2].value_or("");
  read.event_type = row[3].value_or("");
  read.payload = row[4].value_or("");
  MILLRACE_TRY_ASSIGN(read.created_at, base::parse_utc(row[5].value_or("")));
  return read;
}

base::Result<std::uint64_t> read_epoch(Connection& connection, std::int32_t shard, std::string_view locking,
                                       base::Deadline deadline) {
  const Value key = std::int64_t{shard};
  return read_number<std::uint64_t>(connection,
                                    fmt::format("SELECT epoch FROM relay_shards WHERE shard = ?{}", locking),
                                    {&key, 1}, 0, deadline);
}

/// Every take-over and every change of the layout holds this row, so that they come one after the other.
base::Result<std::int32_t> lock_layout(Connection& connection, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(
      const auto shards,
      read_number<std::int32_t>(connection, "SELECT shards FROM relay_layout WHERE id = 1 FOR UPDATE", {}, 0,
                                deadline));
  if (shards < 1) return base::fatal("the outbox has no layout: run millrace init-db");
  return shards;
}

base::Result<std::uint64_t> next_epoch(Connection& connection, base::Deadline deadline) {
  return read_number<std::uint64_t>(connection, "SELECT MAX(epoch) + 1 FROM relay_shards", {}, 1, deadline);
}

/// What the shards have recorded about each topic must be one thing when its partitions pass between them.
base::Result<std::map<std::string, ports::RelayedTopic>> common_topics(Connection& connection,
                                                                       base::Deadline deadline) {
  std::map<std::string, ports::RelayedTopic> topics;
  std::string differing;
  MILLRACE_TRY(connection.query(
      "SELECT topic, partitions, incarnation FROM relay_topics", {},
      [&](Row row) -> base::Result<void> {
        const ports::RelayedTopic topic{row[1].integer<std::int32_t>().value_or(0),
                                        std::string(row[2].value_or(""))};
        const auto known = topics.try_emplace(std::string(row[0].value_or("")), topic).first;
        if (known->second != topic) differing = known->first;
        return {};
      },
      deadline));
  if (!differing.empty())
    return base::conflict(
        fmt::format("the shards do not yet agree on the partitions of {}: run the relay with its former "
                    "relay.shards until the outbox is empty",
                    differing));
  return topics;
}

/// Divides the outbox anew: with the locks of all shards of the former layout, so that none of their owners
/// is at work, and with epochs that no former owner has, so that one that lost its lock cannot mark.
base::Result<void> change_layout(Connection& connection, const std::string& database, std::int32_t from,
                                 std::int32_t to, base::Deadline deadline) {
  // In this order everywhere: of several that try, the one with the first lock gets the others.
  for (std::int32_t shard = 0; shard < from; ++shard) {
    MILLRACE_TRY_ASSIGN(const bool locked, take_lock(connection, database, shard, deadline));
    if (!locked)
      return base::conflict(fmt::format(
          "the outbox is divided into {} shards, not {}, and a relay still serves shard {} of them: stop the "
          "relays with relay.shards = {}, or set this one to it",
          from, to, shard, from));
  }
  MILLRACE_TRY(connection.command("START TRANSACTION", deadline));
  MILLRACE_TRY_ASSIGN(const std::int32_t recorded, lock_layout(connection, deadline));
  if (recorded != from) return base::conflict("another relay has just changed the number of shards");
  MILLRACE_TRY_ASSIGN(const auto topics, common_topics(connection, deadline));
  MILLRACE_TRY_ASSIGN(const std::uint64_t epoch, next_epoch(connection, deadline));
  const Value raised = epoch;
  MILLRACE_TRY(connection.execute("UPDATE relay_shards SET epoch = ?, updated_at = UTC_TIMESTAMP(3)",
                                  {&raised, 1}, deadline));
  MILLRACE_TRY(connection.execute("DELETE FROM relay_topics", {}, deadline));
  for (const auto& [name, topic] : topics)
    for (std::int32_t shard = 0; shard < to; ++shard) {
      const Value values[] = {std::int64_t{shard}, std::string_view(name), std::int64_t{topic.partitions},
                              std::string_view(topic.topic_id)};
      MILLRACE_TRY(
          connection.execute("INSERT INTO relay_topics (shard, topic, partitions, incarnation, "
                             "updated_at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3))",
                             values, deadline));
    }
  const Value shards = std::int64_t{to};
  MILLRACE_TRY(
      connection.execute("UPDATE relay_layout SET shards = ?, updated_at = UTC_TIMESTAMP(3) WHERE id = 1",
                         {&shards, 1}, deadline));
  MILLRACE_TRY(connection.command("COMMIT", deadline));
  spdlog::info("relay: the outbox is divided into {} shards from now on, before into {}", to, from);
  for (std::int32_t shard = 0; shard < from; ++shard) {
    const Value name = lock_name(database, shard);
    MILLRACE_TRY(read_number<int>(connection, "SELECT RELEASE_LOCK(?)", {&name, 1}, 0, deadline));
  }
  return {};
}

/// A range of consecutive ids, or single ones.
struct IdRuns {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
  std::vector<std::uint64_t> single;
  explicit IdRuns(std::span<const std::uint64_t> ids) {
    std::vector<std::uint64_t> sorted(ids.begin(), ids.end());
    std::ranges::sort(sorted);
    for (std::size_t first = 0; first < sorted.size();) {
      std::size_t last = first + 1;
      while (last < sorted.size() && sorted[last] == sorted[last - 1] + 1) ++last;
      if (last - first >= kRunMin) {
        runs.emplace_back(sorted[first], sorted[last - 1]);
      } else {
        single.insert(single.end(), sorted.begin() + static_cast<std::ptrdiff_t>(first),
                      sorted.begin() + static_cast<std::ptrdiff_t>(last));
      }
      first = last;
    }
  }
};

class Lease final : public ports::OutboxLease {
 public:
  Lease(std::unique_ptr<Connection> connection, const OutboxOptions& options, std::int32_t shard,
        std::uint64_t epoch, ParkedFrom parked)
      : connection_(std::move(connection)),
        options_(options),
        shard_(shard),
        epoch_(epoch),
        parked_(std::move(parked)) {}

  std::uint64_t epoch() const override { return epoch_; }

  base::Result<std::vector<ports::OutboxRow>> fetch(std::uint64_t after, std::size_t rows_max,
                                                    base::Deadline deadline) override {
    MILLRACE_TRY(check_lock());
    std::vector<ports::OutboxRow> rows;
    // Parking an order can empty the batch; the bound is the number of parked orders.
    while (true) {
      MILLRACE_TRY_ASSIGN(rows, read_rows(after, rows_max, deadline));
      std::vector<std::pair<std::uint64_t, std::string>> behind;
      for (const ports::OutboxRow& row : rows)
        if (const auto first = parked_.find(row.aggregate_id);
            first != parked_.end() && row.id > first->second)
          behind.emplace_back(row.id, row.aggregate_id);
      if (behind.empty()) {
        if (!rows.empty()) MILLRACE_TRY(make_durable(deadline));
        return rows;
      }
      for (const auto& [id, aggregate_id] : behind) MILLRACE_TRY(park(id, aggregate_id, deadline));
    }
  }

  base::Result<std::size_t> waiting_up_to(std::uint64_t last, base::Deadline deadline) override {
    MILLRACE_TRY(check_lock());
    std::vector<Value> values{last};
    const std::string_view of_shard = only_of_shard(values);
    return read_number<std::size_t>(
        *connection_,
        fmt::format("SELECT COUNT(*) FROM outbox WHERE processed = 0 AND parked = 0 AND id <= ? {}",
                    of_shard),
        values, 0, deadline);
  }

  base::Result<void> mark_processed(std::span<const std::uint64_t> ids, base::Deadline deadline) override {
    if (ids.empty()) return {};
    const IdRuns sorted(ids);
    return under_epoch(deadline, [&]() -> base::Result<void> {
      // Every id of a run is one of ours: a row that was committed late between them would be marked unsent.
      for (const auto& [first, last] : sorted.runs) {
        const Value values[] = {first, last};
        MILLRACE_TRY(
            connection_->execute("UPDATE outbox SET processed = 1, processed_at = UTC_TIMESTAMP(3) WHERE "
                                 "processed = 0 AND id BETWEEN ? AND ?",
                                 values, deadline));
      }
      return in_chunks(
          sorted.single, [](std::uint64_t id) { return id; },
          [&](std::span<const Value> values, const std::string& list) -> base::Result<void> {
            MILLRACE_TRY(
                connection_->execute("UPDATE outbox SET processed = 1, processed_at = UTC_TIMESTAMP(3) WHERE "
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
    const auto change = [&]() -> base::Result<void> {
      const Value values[] = {id, std::string_view(aggregate_id)};
      MILLRACE_TRY_ASSIGN(
          parked,
          connection_->execute("UPDATE outbox SET parked = 1 WHERE processed = 0 AND parked = 0 AND id >= ? "
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

  base::Result<void> heartbeat(base::Deadline deadline) override {
    MILLRACE_TRY(check_lock());
    return connection_->command("DO 0", deadline);
  }

  base::Result<std::optional<ports::RelayedTopic>> topic(const std::string& topic,
                                                         base::Deadline deadline) override {
    MILLRACE_TRY(check_lock());
    std::optional<ports::RelayedTopic> found;
    const Value values[] = {std::int64_t{shard_}, std::string_view(topic)};
    MILLRACE_TRY(connection_->query(
        "SELECT partitions, incarnation FROM relay_topics WHERE shard = ? AND topic = ?", values,
        [&](Row row) -> base::Result<void> {
          found = {row[0].integer<std::int32_t>().value_or(0), std::string(row[1].value_or(""))};
          return {};
        },
        deadline));
    return found;
  }

  base::Result<void> record_topic(const std::string& topic, const ports::RelayedTopic& now,
                                  base::Deadline deadline) override {
    return under_epoch(deadline, [&]() -> base::Result<void> {
      const Value values[] = {std::int64_t{shard_},         std::string_view(topic),
                              std::int64_t{now.partitions}, std::string_view(now.topic_id),
                              std::int64_t{now.partitions}, std::string_view(now.topic_id)};
      MILLRACE_TRY(connection_->execute(
          "INSERT INTO relay_topics (shard, topic, partitions, incarnation, updated_at) VALUES (?, ?, ?, ?, "
          "UTC_TIMESTAMP(3)) ON DUPLICATE KEY UPDATE partitions = ?, incarnation = ?, updated_at = "
          "UTC_TIMESTAMP(3)",
          values, deadline));
      return {};
    });
  }

 private:
  base::Result<void> check_lock() const {
    if (connection_->usable() && connection_->looks_alive()) return {};
    return base::conflict(
        fmt::format("the lock of outbox shard {} is lost with its connection: acquire it again", shard_));
  }

  /// InnoDB shows the rows of a commit before it has written them to its log: a server that is killed in
  /// between knows nothing of them afterwards, and gives their ids away again. A commit of ours that comes
  /// later returns when all before it is on the disk. It must change something to be one; and it finds out
  /// who was overtaken.
  base::Result<void> make_durable(base::Deadline deadline) {
    const Value values[] = {std::int64_t{shard_}, epoch_};
    MILLRACE_TRY_ASSIGN(
        const std::uint64_t found,
        connection_->execute(
            "UPDATE relay_shards SET updated_at = IF(updated_at = UTC_TIMESTAMP(3), updated_at + "
            "INTERVAL 1000 MICROSECOND, UTC_TIMESTAMP(3)) WHERE shard = ? AND epoch = ?",
            values, deadline));
    if (found == 1) return {};
    return base::conflict(fmt::format("another relay has taken over outbox shard {}", shard_));
  }

  /// The condition that a row is of this shard, and its values.
  std::string_view only_of_shard(std::vector<Value>& values) const {
    if (options_.shards == 1) return {};
    values.insert(values.end(), {std::int64_t{options_.shards}, std::int64_t{shard_}});
    return "AND MOD(CRC32(aggregate_id), ?) = ? ";
  }

  base::Result<std::vector<ports::OutboxRow>> read_rows(std::uint64_t after, std::size_t rows_max,
                                                        base::Deadline deadline) {
    std::vector<ports::OutboxRow> rows;
    std::size_t bytes = 0;
    std::vector<Value> values{after};
    const std::string_view of_shard = only_of_shard(values);
    values.emplace_back(std::uint64_t{rows_max});
    MILLRACE_TRY(connection_->query(
        fmt::format("SELECT id, aggregate_id, aggregate_type, event_type, payload, created_at FROM outbox "
                    "WHERE processed = 0 AND parked = 0 AND id > ? {}ORDER BY id LIMIT ?",
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

  /// Runs `change` in a transaction that holds the shard's epoch row and has found our epoch in it; on the
  /// connection that has the lock, so that the server which takes the lock from a silent owner also rolls
  /// back what that one has begun.
  template <class Change>
  base::Result<void> under_epoch(base::Deadline deadline, Change change) {
    MILLRACE_TRY(check_lock());
    MILLRACE_TRY(connection_->command("START TRANSACTION", deadline));
    base::Result<void> changed = check_epoch(*connection_, deadline);
    if (changed) changed = change();
    if (changed) changed = connection_->command("COMMIT", deadline);
    if (!changed && connection_->usable()) {
      if (const auto undone = connection_->command("ROLLBACK", deadline); !undone)
        spdlog::debug("outbox: {}", undone.error().message);
    }
    return changed;
  }

  base::Result<void> check_epoch(Connection& connection, base::Deadline deadline) const {
    MILLRACE_TRY_ASSIGN(const std::uint64_t now, read_epoch(connection, shard_, " FOR UPDATE", deadline));
    if (now == epoch_) return {};
    return base::conflict(fmt::format(
        "outbox shard {} has epoch {}, ours is {}: another relay has taken over", shard_, now, epoch_));
  }

  std::unique_ptr<Connection> connection_;  // holds the named lock, and does all that needs it
  const OutboxOptions options_;
  const std::int32_t shard_;
  const std::uint64_t epoch_;
  ParkedFrom parked_;  // later rows of these orders must not overtake the parked one
};

}  // namespace

class MysqlOutbox::Impl {
 public:
  // For what needs no lock: the depth and the removal of old rows.
  Impl(ServerAddress address, OutboxOptions given) : pool(std::move(address), 3), options(given) {
    MILLRACE_ASSERT(options.shards >= 1 && options.silence_max > std::chrono::milliseconds(0));
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
  const OutboxOptions& options = impl_->options;
  MILLRACE_ASSERT(shard >= 0 && shard < options.shards);
  MILLRACE_TRY_ASSIGN(auto connection,
                      Connection::open(address, address.database, Isolation::kReadCommitted, deadline));
  // The server itself drops an owner that is silent, also one that stopped in the middle of an answer.
  const auto silence = std::chrono::ceil<std::chrono::seconds>(options.silence_max).count();
  MILLRACE_TRY(connection->command(
      fmt::format("SET SESSION wait_timeout = {0}, net_write_timeout = {0}, net_read_timeout = {0}", silence),
      deadline));
  MILLRACE_TRY_ASSIGN(const auto recorded,
                      read_number<std::int32_t>(*connection, "SELECT shards FROM relay_layout WHERE id = 1",
                                                {}, options.shards, deadline));
  if (recorded != options.shards)
    MILLRACE_TRY(change_layout(*connection, address.database, recorded, options.shards, deadline));
  MILLRACE_TRY_ASSIGN(const bool locked, take_lock(*connection, address.database, shard, deadline));
  if (!locked) return base::conflict(fmt::format("another relay has shard {}", shard));

  MILLRACE_TRY(connection->command("START TRANSACTION", deadline));
  MILLRACE_TRY_ASSIGN(const std::int32_t shards, lock_layout(*connection, deadline));
  if (shards != options.shards)
    return base::conflict(fmt::format("another relay has divided the outbox into {} shards", shards));
  MILLRACE_TRY_ASSIGN(const std::uint64_t epoch, next_epoch(*connection, deadline));
  const Value values[] = {std::int64_t{shard}, epoch, epoch};
  MILLRACE_TRY(connection->execute(
      "INSERT INTO relay_shards (shard, epoch, updated_at) VALUES (?, ?, UTC_TIMESTAMP(3)) "
      "ON DUPLICATE KEY UPDATE epoch = ?, updated_at = UTC_TIMESTAMP(3)",
      values, deadline));
  MILLRACE_TRY(connection->command("COMMIT", deadline));

  ParkedFrom parked;
  MILLRACE_TRY(connection->query(
      "SELECT aggregate_id, MIN(id) FROM outbox WHERE processed = 0 AND parked = 1 GROUP BY aggregate_id", {},
      [&](Row row) -> base::Result<void> {
        parked.emplace(row[0].value_or(""), row[1].integer<std::uint64_t>().value_or(0));
        return {};
      },
      deadline));
  return std::make_unique<Lease>(std::move(connection), options, shard, epoch, std::move(parked));
}

base::Result<ports::OutboxDepth> MysqlOutbox::depth(base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  ports::OutboxDepth depth;
  MILLRACE_TRY(connection->query(
      "SELECT parked, COUNT(*) FROM outbox WHERE processed = 0 GROUP BY parked", {},
      [&](Row row) -> base::Result<void> {
        (row[0] == "0" ? depth.waiting : depth.parked) = row[1].integer<std::uint64_t>().value_or(0);
        return {};
      },
      deadline));
  if (depth.waiting == 0) return depth;
  MILLRACE_TRY_ASSIGN(
      const auto age_us,
      read_number<std::int64_t>(*connection,
                                "SELECT TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(3)) FROM outbox "
                                "WHERE processed = 0 AND parked = 0 ORDER BY id LIMIT 1",
                                {}, 0, deadline));
  depth.oldest_age = std::chrono::milliseconds(std::max<std::int64_t>(0, age_us) / 1'000);
  return depth;
}

base::Result<std::size_t> MysqlOutbox::remove_processed(base::UtcTime before, std::size_t rows_max,
                                                        base::Deadline deadline) {
  std::size_t removed = 0;
  while (removed < rows_max) {
    MILLRACE_TRY_ASSIGN(PooledConnection connection, impl_->pool.acquire(deadline));
    const std::size_t wanted = std::min(rows_max - removed, kRemovedRowsMax);
    auto some = remove_portion(*connection, before, wanted, deadline);
    if (!some) {
      connection.discard();  // with its transaction
      return std::unexpected(std::move(some).error());
    }
    removed += *some;
    if (*some < wanted) break;
  }
  return removed;
}

}  // namespace millrace::adapters::mysql
