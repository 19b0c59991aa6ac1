#include "adapters/mysql/mysql_job_store.h"

#include <utility>

#include <fmt/format.h>

#include "adapters/mysql/named_lock.h"
#include "adapters/mysql/pool.h"
#include "base/text.h"

namespace millrace::adapters::mysql {
namespace {

constexpr std::size_t kConnectionsMax = 4;
constexpr std::size_t kProgressBytesMax = 1'000;  // as the columns
constexpr std::size_t kErrorBytesMax = 2'000;

constexpr std::string_view kSelectJob =
    "SELECT id, kind, parameters, state, cancel_requested, progress, checkpoint, error, created_at, "
    "updated_at, finished_at FROM jobs";

base::Result<ports::JobState> state_of(std::string_view text) {
  for (const auto state : {ports::JobState::kRunning, ports::JobState::kDone, ports::JobState::kFailed,
                           ports::JobState::kCancelled})
    if (text == ports::to_string(state)) return state;
  return base::fatal("the table jobs holds an unknown state: check its schema");
}

base::Result<ports::Job> read_job(Row row) {
  ports::Job job;
  job.id = row[0].integer<std::uint64_t>().value_or(0);
  job.kind = row[1].value_or("");
  job.parameters = row[2].value_or("");
  MILLRACE_TRY_ASSIGN(job.state, state_of(row[3].value_or("")));
  job.cancel_requested = row[4] == "1";
  job.progress = row[5].value_or("");
  job.checkpoint = row[6].value_or("");
  job.error = row[7].value_or("");
  MILLRACE_TRY_ASSIGN(job.created_at, base::parse_utc(row[8].value_or("")));
  MILLRACE_TRY_ASSIGN(job.updated_at, base::parse_utc(row[9].value_or("")));
  if (row[10]) {
    MILLRACE_TRY_ASSIGN(job.finished_at, base::parse_utc(*row[10]));
  }
  return job;
}

base::Result<std::vector<ports::Job>> select_jobs(Connection& connection, std::string_view condition,
                                                  std::span<const Value> values, base::Deadline deadline) {
  std::vector<ports::Job> jobs;
  MILLRACE_TRY(connection.query(
      fmt::format("{} {}", kSelectJob, condition), values,
      [&](Row row) -> base::Result<void> {
        MILLRACE_TRY_ASSIGN(ports::Job job, read_job(row));
        jobs.push_back(std::move(job));
        return {};
      },
      deadline));
  return jobs;
}

base::Result<std::optional<ports::Job>> select_running(Connection& connection, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(auto jobs, select_jobs(connection, "WHERE slot = 1", {}, deadline));
  if (jobs.empty()) return std::optional<ports::Job>();
  return std::optional<ports::Job>(std::move(jobs.front()));
}

base::Result<ports::Job> select_job(Connection& connection, std::uint64_t id, base::Deadline deadline) {
  const Value key = id;
  MILLRACE_TRY_ASSIGN(auto jobs, select_jobs(connection, "WHERE id = ?", {&key, 1}, deadline));
  if (jobs.empty()) return base::not_found(fmt::format("there is no job {}", id));
  return std::move(jobs.front());
}

/// Every write goes by the connection that holds the lock: without the lock there is none.
class Lease final : public ports::JobLease {
 public:
  explicit Lease(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  base::Result<std::optional<ports::Job>> running(base::Deadline deadline) override {
    MILLRACE_TRY(check_lock());
    return select_running(*connection_, deadline);
  }

  base::Result<void> save(std::uint64_t id, const std::string& checkpoint, base::Deadline deadline) override {
    const Value values[] = {std::string_view(checkpoint), id};
    return change("UPDATE jobs SET checkpoint = ?, updated_at = UTC_TIMESTAMP(3) WHERE id = ? AND slot = 1",
                  values, id, deadline);
  }

  base::Result<bool> report(std::uint64_t id, const std::string& progress, base::Deadline deadline) override {
    const std::string shown = base::printable(progress, kProgressBytesMax);
    const Value values[] = {std::string_view(shown), id};
    MILLRACE_TRY(
        change("UPDATE jobs SET progress = ?, updated_at = UTC_TIMESTAMP(3) WHERE id = ? AND slot = 1",
               values, id, deadline));
    MILLRACE_TRY_ASSIGN(const ports::Job job, select_job(*connection_, id, deadline));
    return job.cancel_requested;
  }

  base::Result<void> finish(std::uint64_t id, ports::JobState state, const std::string& progress,
                            const std::string& error, base::Deadline deadline) override {
    const std::string shown = base::printable(progress, kProgressBytesMax);
    const std::string reason = base::printable(error, kErrorBytesMax);
    const Value values[] = {ports::to_string(state), std::string_view(shown), std::string_view(reason), id};
    return change(
        "UPDATE jobs SET state = ?, slot = NULL, progress = ?, error = ?, updated_at = UTC_TIMESTAMP(3), "
        "finished_at = UTC_TIMESTAMP(3) WHERE id = ? AND slot = 1",
        values, id, deadline);
  }

 private:
  base::Result<void> check_lock() const {
    if (connection_->usable() && connection_->looks_alive()) return {};
    return base::conflict("the lock of the jobs is lost with its connection: acquire it again");
  }

  base::Result<void> change(std::string_view update, std::span<const Value> values, std::uint64_t id,
                            base::Deadline deadline) {
    MILLRACE_TRY(check_lock());
    MILLRACE_TRY_ASSIGN(const std::uint64_t matched, connection_->execute(update, values, deadline));
    if (matched == 0) return base::conflict(fmt::format("job {} is not running any more", id));
    return {};
  }

  std::unique_ptr<Connection> connection_;  // holds the named lock
};

}  // namespace

class MysqlJobStore::Impl {
 public:
  explicit Impl(ServerAddress address) : pool(std::move(address), kConnectionsMax) {}
  Pool pool;
};

MysqlJobStore::MysqlJobStore(ServerAddress address) : impl_(std::make_unique<Impl>(std::move(address))) {}
MysqlJobStore::~MysqlJobStore() = default;

base::Result<ports::Job> MysqlJobStore::submit(const std::string& kind, const std::string& parameters,
                                               base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  const Value values[] = {std::string_view(kind), std::string_view(parameters)};
  const auto added = connection->execute("INSERT INTO jobs (kind, parameters, checkpoint) VALUES (?, ?, '')",
                                         values, deadline);
  if (!added && added.error().kind == base::ErrorKind::kConflict) {
    MILLRACE_TRY_ASSIGN(const auto running, select_running(*connection, deadline));
    return base::conflict(running ? fmt::format("job {} ({}) is running; one runs at a time: wait for it, or "
                                                "cancel it",
                                                running->id, running->kind)
                                  : "another job was running a moment ago: try again");
  }
  if (!added) return std::unexpected(added.error());
  MILLRACE_TRY_ASSIGN(auto job, select_jobs(*connection, "WHERE id = LAST_INSERT_ID()", {}, deadline));
  if (job.empty()) return base::unavailable("the job that was just added is gone: look at the jobs");
  return std::move(job.front());
}

base::Result<ports::Job> MysqlJobStore::job(std::uint64_t id, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  return select_job(*connection, id, deadline);
}

base::Result<std::vector<ports::Job>> MysqlJobStore::jobs(std::size_t count_max, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  const Value limit = std::uint64_t{count_max};
  return select_jobs(*connection, "ORDER BY id DESC LIMIT ?", {&limit, 1}, deadline);
}

base::Result<ports::Job> MysqlJobStore::request_cancel(std::uint64_t id, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const PooledConnection connection, impl_->pool.acquire(deadline));
  const Value key = id;
  MILLRACE_TRY_ASSIGN(const std::uint64_t matched,
                      connection->execute("UPDATE jobs SET cancel_requested = 1 WHERE id = ? AND slot = 1",
                                          {&key, 1}, deadline));
  MILLRACE_TRY_ASSIGN(ports::Job job, select_job(*connection, id, deadline));
  if (matched == 0)
    return base::conflict(fmt::format("job {} has ended already: {}", id, ports::to_string(job.state)));
  return job;
}

base::Result<std::unique_ptr<ports::JobLease>> MysqlJobStore::acquire(base::Deadline deadline) {
  auto connection = connect_with_lock(impl_->pool.address(), "jobs", deadline);
  if (!connection && connection.error().kind == base::ErrorKind::kConflict)
    return base::conflict("another process executes the jobs of this database");
  if (!connection) return std::unexpected(std::move(connection).error());
  return std::make_unique<Lease>(std::move(*connection));
}

}  // namespace millrace::adapters::mysql
