#include "adapters/mysql/connection.h"

#include <cerrno>
#include <charconv>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <mysql.h>
#include <poll.h>
#include <sys/socket.h>

#include "adapters/mysql/errors.h"
#include "base/assert.h"

namespace millrace::adapters::mysql {
namespace {

constexpr unsigned long kFieldBytesFirst = 64;  // grows to the largest value met
constexpr std::chrono::milliseconds kCloseTimeout{200};

// What a server may be configured to otherwise: transactions that nobody commits, and an end to long reads,
// for which we have deadlines. The comments are for one server each: MySQL from 8.0 on, and MariaDB.
constexpr std::string_view kSessionSettings =
    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = {}, autocommit = 1"
    "/*!80000 , max_execution_time = 0 *//*M! , max_statement_time = 0 */";

// libmariadb's own time-outs count whole seconds. It asks this hook whenever a socket would block instead, so
// every wait of the calling thread ends at the deadline of the call it belongs to.
thread_local base::Deadline::Clock::time_point wait_until = base::Deadline::Clock::time_point::max();
thread_local bool wait_expired = false;
thread_local const base::StopSignal* interrupt = nullptr;
constexpr std::int64_t kInterruptPollMs = 100;

int wait_for_socket(my_socket socket, my_bool is_read, int /*timeout_ms*/) {
  pollfd entry{.fd = socket, .events = static_cast<short>(is_read != 0 ? POLLIN : POLLOUT), .revents = 0};
  while (true) {
    int left_ms = -1;
    if (wait_until != base::Deadline::Clock::time_point::max())
      left_ms =
          static_cast<int>(std::min<std::int64_t>(base::Deadline::at(wait_until).left().count(), 3'600'000));
    if (interrupt != nullptr)
      left_ms = static_cast<int>(left_ms < 0 ? kInterruptPollMs
                                             : std::min<std::int64_t>(left_ms, kInterruptPollMs));
    const int ready = ::poll(&entry, 1, left_ms);
    if (ready > 0) return ready;
    const bool interrupted = interrupt != nullptr && interrupt->requested();
    if (ready == 0 && (interrupted || base::Deadline::Clock::now() >= wait_until)) {
      wait_expired = true;
      errno = ETIMEDOUT;
      return 0;
    }
    if (ready < 0 && errno != EINTR) return ready;
  }
}

class WaitScope {
 public:
  explicit WaitScope(base::Deadline deadline)
      : until_before_(std::exchange(wait_until, deadline.moment())),
        expired_before_(std::exchange(wait_expired, false)) {}
  ~WaitScope() {
    wait_until = until_before_;
    wait_expired = expired_before_;
  }
  WaitScope(const WaitScope&) = delete;
  WaitScope& operator=(const WaitScope&) = delete;

 private:
  // A row callback may use another connection on the same thread, so scopes nest.
  base::Deadline::Clock::time_point until_before_;
  bool expired_before_;
};

struct CloseMysql {
  void operator()(MYSQL* mysql) const {
    const WaitScope scope(base::Deadline::in(kCloseTimeout));
    mysql_close(mysql);
  }
};
struct CloseStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};

void start_library() {
  static std::once_flag once;
  std::call_once(once, [] { mysql_library_init(0, nullptr, nullptr); });
}

bool is_integer_type(enum_field_types type) {
  return type == MYSQL_TYPE_TINY || type == MYSQL_TYPE_SHORT || type == MYSQL_TYPE_INT24 ||
         type == MYSQL_TYPE_LONG || type == MYSQL_TYPE_LONGLONG;
}

/// Integer columns are read as they come over the wire, all others as text.
struct ResultBuffers {
  std::vector<std::vector<char>> bytes;
  std::vector<std::int64_t> numbers;
  std::vector<char> is_integer;
  std::vector<unsigned long> lengths;
  std::vector<my_bool> nulls;
  std::vector<MYSQL_BIND> binds;

  /// False: the server's description of the columns cannot be had.
  bool shape(MYSQL_STMT* statement, std::size_t columns) {
    if (binds.size() == columns) return true;
    const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> described(
        mysql_stmt_result_metadata(statement), &mysql_free_result);
    if (described == nullptr) return false;
    const MYSQL_FIELD* const fields = mysql_fetch_fields(described.get());
    numbers.assign(columns, 0);
    is_integer.assign(columns, 0);
    bytes.assign(columns, std::vector<char>(kFieldBytesFirst));
    lengths.assign(columns, 0);
    nulls.assign(columns, 0);
    binds.assign(columns, MYSQL_BIND{});
    for (std::size_t i = 0; i < columns; ++i) {
      is_integer[i] = is_integer_type(fields[i].type) ? 1 : 0;
      binds[i].is_unsigned = (fields[i].flags & UNSIGNED_FLAG) != 0 ? 1 : 0;
      point(i);
    }
    return true;
  }
  /// The number that was read into column i, with its text.
  Field integer(std::size_t i) {
    static_assert(kFieldBytesFirst >= 20, "the digits of any number fit");
    const bool is_unsigned = binds[i].is_unsigned != 0;
    char* const first = bytes[i].data();
    char* const last = first + bytes[i].size();
    const auto written = is_unsigned ? std::to_chars(first, last, static_cast<std::uint64_t>(numbers[i]))
                                     : std::to_chars(first, last, numbers[i]);
    return {std::string_view(first, written.ptr), numbers[i], is_unsigned};
  }
  void point(std::size_t i) {
    if (is_integer[i] != 0) {
      binds[i].buffer_type = MYSQL_TYPE_LONGLONG;
      binds[i].buffer = &numbers[i];
    } else {
      binds[i].buffer_type = MYSQL_TYPE_STRING;
      binds[i].buffer = bytes[i].data();
      binds[i].buffer_length = static_cast<unsigned long>(bytes[i].size());
    }
    binds[i].length = &lengths[i];
    binds[i].is_null = &nulls[i];
  }
};

struct Prepared {
  std::string sql;
  std::unique_ptr<MYSQL_STMT, CloseStatement> statement;
  ResultBuffers result;
};

}  // namespace

InterruptScope::InterruptScope(const base::StopSignal& stop) {
  MILLRACE_ASSERT(interrupt == nullptr);
  interrupt = &stop;
}
InterruptScope::~InterruptScope() {
  interrupt = nullptr;
}

class Connection::Impl {
 public:
  Impl(std::unique_ptr<MYSQL, CloseMysql> mysql, std::string shown)
      : mysql_(std::move(mysql)), shown_(std::move(shown)) {}
  ~Impl() {
    const WaitScope scope(base::Deadline::in(kCloseTimeout));
    by_sql_.clear();
    prepared_.clear();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  base::Result<void> command(std::string_view sql, base::Deadline deadline) {
    MILLRACE_TRY(check_usable());
    const WaitScope scope(deadline);
    if (mysql_real_query(mysql_.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0)
      return failed(sql);
    return drop_results(sql);
  }

  base::Result<void> script(std::string_view sql, base::Deadline deadline) {
    MILLRACE_TRY(check_usable());
    const WaitScope scope(deadline);
    if (mysql_set_server_option(mysql_.get(), MYSQL_OPTION_MULTI_STATEMENTS_ON) != 0)
      return failed("allow scripts");
    if (mysql_real_query(mysql_.get(), sql.data(), static_cast<unsigned long>(sql.size())) != 0)
      return failed(sql);
    MILLRACE_TRY(drop_results(sql));
    if (mysql_set_server_option(mysql_.get(), MYSQL_OPTION_MULTI_STATEMENTS_OFF) != 0)
      return failed("forbid scripts");
    return {};
  }

  base::Result<std::uint64_t> execute(std::string_view sql, std::span<const Value> values,
                                      base::Deadline deadline) {
    MILLRACE_TRY(check_usable());
    const WaitScope scope(deadline);
    MILLRACE_TRY_ASSIGN(Prepared* const prepared, run(sql, values));
    MYSQL_STMT* const statement = prepared->statement.get();
    const std::uint64_t affected = mysql_stmt_affected_rows(statement);
    if (mysql_stmt_free_result(statement) != 0) return failed(*prepared);
    return affected;
  }

  base::Result<void> query(std::string_view sql, std::span<const Value> values, const OnRow& on_row,
                           base::Deadline deadline) {
    MILLRACE_TRY(check_usable());
    const WaitScope scope(deadline);
    MILLRACE_TRY_ASSIGN(Prepared* const prepared, run(sql, values));
    MYSQL_STMT* const statement = prepared->statement.get();
    const std::size_t columns = mysql_stmt_field_count(statement);
    if (columns == 0) {
      mysql_stmt_free_result(statement);
      return base::fatal(fmt::format("the statement returns no rows: {}", shortened(sql)));
    }
    ResultBuffers& result = prepared->result;
    if (!result.shape(statement, columns)) return failed(*prepared);
    if (mysql_stmt_bind_result(statement, result.binds.data()) != 0) return failed(*prepared);

    std::vector<Field> row(columns);
    while (true) {
      const int fetched = mysql_stmt_fetch(statement);
      if (fetched == MYSQL_NO_DATA) break;
      if (fetched != 0 && fetched != MYSQL_DATA_TRUNCATED) return failed(*prepared);
      MILLRACE_TRY(read_row(*prepared, row));
      if (base::Result<void> taken = on_row(row); !taken) {
        // The rest of the rows may be millions: giving the connection up costs less than reading them.
        give_up();
        return taken;
      }
      // Rows can come from the library's buffer without any wait, so the deadline is looked at here as well.
      if (base::Deadline::Clock::now() >= deadline.moment()) {
        give_up();
        return base::unavailable(
            fmt::format("{}: the answer took longer than allowed: {}", shown_, shortened(sql)));
      }
    }
    if (mysql_stmt_free_result(statement) != 0) return failed(*prepared);
    return {};
  }

  [[nodiscard]] bool usable() const { return !broken_; }

  [[nodiscard]] bool looks_alive() const {
    if (broken_) return false;
    // An idle server sends nothing, so readable means that it has hung up.
    pollfd entry{.fd = mysql_get_socket(mysql_.get()), .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, 0) == 0;
  }

 private:
  static std::string_view shortened(std::string_view sql) { return sql.substr(0, 120); }

  base::Result<void> check_usable() const {
    if (broken_) return base::unavailable(fmt::format("the connection to {} is lost", shown_));
    return {};
  }

  // Closing a statement reads what is left of its rows; a socket that is shut down has nothing left.
  void give_up() {
    broken_ = true;
    if (const my_socket socket = mysql_get_socket(mysql_.get()); socket >= 0) ::shutdown(socket, SHUT_RDWR);
  }

  std::unexpected<base::Error> make_failure(unsigned code, const char* text, std::string_view sql) {
    if (is_connection_lost(code)) give_up();
    if (wait_expired) {
      give_up();
      return base::unavailable(fmt::format("{} did not answer in time: {}", shown_, shortened(sql)),
                               static_cast<int>(code));
    }
    return std::unexpected(make_error(fmt::format("{}: {}", shown_, shortened(sql)), code, text));
  }
  std::unexpected<base::Error> failed(std::string_view sql) {
    return make_failure(mysql_errno(mysql_.get()), mysql_error(mysql_.get()), sql);
  }
  std::unexpected<base::Error> failed(Prepared& prepared) {
    MYSQL_STMT* const statement = prepared.statement.get();
    // An error that comes between two rows the library leaves with the connection.
    const bool is_of_statement = mysql_stmt_errno(statement) != 0;
    auto error = is_of_statement
                     ? make_failure(mysql_stmt_errno(statement), mysql_stmt_error(statement), prepared.sql)
                     : make_failure(mysql_errno(mysql_.get()), mysql_error(mysql_.get()), prepared.sql);
    forget(prepared);
    return error;
  }

  base::Result<void> drop_results(std::string_view sql) {
    while (true) {
      if (MYSQL_RES* const rows = mysql_store_result(mysql_.get()); rows != nullptr) mysql_free_result(rows);
      if (mysql_errno(mysql_.get()) != 0) return failed(sql);
      const int next = mysql_next_result(mysql_.get());
      if (next < 0) return {};
      if (next > 0) return failed(sql);
    }
  }

  base::Result<Prepared*> prepare(std::string_view sql) {
    if (const auto known = by_sql_.find(sql); known != by_sql_.end()) {
      prepared_.splice(prepared_.begin(), prepared_, known->second);
      return &prepared_.front();
    }
    if (prepared_.size() >= kStatementsMax) forget(prepared_.back());
    MYSQL_STMT* const statement = mysql_stmt_init(mysql_.get());
    MILLRACE_ASSERT(statement != nullptr);
    prepared_.push_front({std::string(sql), std::unique_ptr<MYSQL_STMT, CloseStatement>(statement), {}});
    by_sql_.emplace(prepared_.front().sql, prepared_.begin());
    if (mysql_stmt_prepare(statement, sql.data(), static_cast<unsigned long>(sql.size())) != 0)
      return failed(prepared_.front());
    return &prepared_.front();
  }

  void forget(Prepared& prepared) {
    const auto known = by_sql_.find(prepared.sql);
    const auto position = known->second;
    by_sql_.erase(known);
    prepared_.erase(position);
  }

  base::Result<Prepared*> run(std::string_view sql, std::span<const Value> values) {
    MILLRACE_TRY_ASSIGN(Prepared* const prepared, prepare(sql));
    MYSQL_STMT* const statement = prepared->statement.get();
    if (mysql_stmt_param_count(statement) != values.size())
      return base::fatal(fmt::format("the statement has {} placeholders and {} values: {}",
                                     mysql_stmt_param_count(statement), values.size(), shortened(sql)));
    if (!values.empty()) {
      parameters_.assign(values.size(), MYSQL_BIND{});
      for (std::size_t i = 0; i < values.size(); ++i) bind(parameters_[i], values[i]);
      if (mysql_stmt_bind_param(statement, parameters_.data()) != 0) return failed(*prepared);
    }
    if (mysql_stmt_execute(statement) != 0) return failed(*prepared);
    return prepared;
  }

  // libmariadb only reads through these pointers, although they are not const.
  static void bind(MYSQL_BIND& slot, const Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      slot.buffer_type = MYSQL_TYPE_LONGLONG;
      slot.buffer = const_cast<std::int64_t*>(number);
    } else if (const auto* natural = std::get_if<std::uint64_t>(&value)) {
      slot.buffer_type = MYSQL_TYPE_LONGLONG;
      slot.buffer = const_cast<std::uint64_t*>(natural);
      slot.is_unsigned = 1;
    } else if (const auto* view = std::get_if<std::string_view>(&value)) {
      bind_text(slot, *view);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      bind_text(slot, *text);
    } else {
      slot.buffer_type = MYSQL_TYPE_NULL;
    }
  }
  static void bind_text(MYSQL_BIND& slot, std::string_view text) {
    slot.buffer_type = MYSQL_TYPE_STRING;
    slot.buffer = const_cast<char*>(text.data() != nullptr ? text.data() : "");
    slot.buffer_length = static_cast<unsigned long>(text.size());
    slot.length_value = slot.buffer_length;
  }

  base::Result<void> read_row(Prepared& prepared, std::vector<Field>& row) {
    MYSQL_STMT* const statement = prepared.statement.get();
    ResultBuffers& result = prepared.result;
    bool moved = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (result.nulls[i] != 0) {
        row[i] = Field();
        continue;
      }
      if (result.is_integer[i] != 0) {
        row[i] = result.integer(i);
        continue;
      }
      if (result.lengths[i] > result.bytes[i].size()) {
        result.bytes[i].resize(std::max<std::size_t>(result.lengths[i], result.bytes[i].size() * 2));
        result.point(i);
        MYSQL_BIND again = result.binds[i];
        if (mysql_stmt_fetch_column(statement, &again, static_cast<unsigned>(i), 0) != 0)
          return failed(prepared);
        moved = true;
      }
      row[i] = Field(std::string_view(result.bytes[i].data(), result.lengths[i]));
    }
    if (moved && mysql_stmt_bind_result(statement, result.binds.data()) != 0) return failed(prepared);
    return {};
  }

  std::unique_ptr<MYSQL, CloseMysql> mysql_;
  std::string shown_;
  bool broken_ = false;
  std::vector<MYSQL_BIND> parameters_;
  // Declared after the connection, so that statements are closed before it. Most recently used first.
  std::list<Prepared> prepared_;
  std::unordered_map<std::string_view, std::list<Prepared>::iterator> by_sql_;  // keys lie in prepared_
};

base::Result<std::unique_ptr<Connection>> Connection::open(const ServerAddress& address,
                                                           const std::string& database, Isolation isolation,
                                                           base::Deadline deadline) {
  start_library();
  const std::string shown = address.shown();
  const WaitScope scope(deadline);
  std::unique_ptr<MYSQL, CloseMysql> mysql(mysql_init(nullptr));
  MILLRACE_ASSERT(mysql != nullptr);
  mysql_optionsv(mysql.get(), MARIADB_OPT_IO_WAIT, reinterpret_cast<const void*>(&wait_for_socket));
  const auto seconds =
      static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(deadline.left()).count() + 1);
  mysql_optionsv(mysql.get(), MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
  mysql_optionsv(mysql.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  // A server must not be able to ask for our files.
  const unsigned no_local_files = 0;
  mysql_optionsv(mysql.get(), MYSQL_OPT_LOCAL_INFILE, &no_local_files);
  if (address.tls != TlsMode::kOff) {
    const my_bool yes = 1;
    mysql_optionsv(mysql.get(), MYSQL_OPT_SSL_ENFORCE, &yes);
    if (address.tls == TlsMode::kVerify) mysql_optionsv(mysql.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    if (!address.tls_ca_file.empty())
      mysql_optionsv(mysql.get(), MYSQL_OPT_SSL_CA, address.tls_ca_file.c_str());
  }
  const bool by_socket = !address.unix_socket.empty();
  // CLIENT_FOUND_ROWS: an UPDATE reports the rows it matched, also those that it left as they were.
  if (mysql_real_connect(mysql.get(), by_socket ? "localhost" : address.host.c_str(), address.user.c_str(),
                         address.password.c_str(), database.empty() ? nullptr : database.c_str(),
                         by_socket ? 0 : address.port, by_socket ? address.unix_socket.c_str() : nullptr,
                         CLIENT_FOUND_ROWS) == nullptr) {
    if (wait_expired) return base::unavailable(fmt::format("connect to {}: no answer in time", shown));
    return std::unexpected(
        make_error(fmt::format("connect to {}", shown), mysql_errno(mysql.get()), mysql_error(mysql.get())));
  }
  auto connection =
      std::unique_ptr<Connection>(new Connection(std::make_unique<Impl>(std::move(mysql), shown)));
  MILLRACE_TRY(connection->command(fmt::format(kSessionSettings, kLockWaitSeconds), deadline));
  MILLRACE_TRY(connection->command(isolation == Isolation::kReadCommitted
                                       ? "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
                                       : "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                                   deadline));
  return connection;
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

base::Result<void> Connection::command(std::string_view sql, base::Deadline deadline) {
  return impl_->command(sql, deadline);
}
base::Result<void> Connection::script(std::string_view sql, base::Deadline deadline) {
  return impl_->script(sql, deadline);
}
base::Result<std::uint64_t> Connection::execute(std::string_view sql, std::span<const Value> values,
                                                base::Deadline deadline) {
  return impl_->execute(sql, values, deadline);
}
base::Result<void> Connection::query(std::string_view sql, std::span<const Value> values, const OnRow& on_row,
                                     base::Deadline deadline) {
  return impl_->query(sql, values, on_row, deadline);
}
bool Connection::usable() const {
  return impl_->usable();
}
bool Connection::looks_alive() const {
  return impl_->looks_alive();
}

}  // namespace millrace::adapters::mysql
