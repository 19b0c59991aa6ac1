#include "warehouse/engine/engine.h"

#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/directory_lock.h"
#include "base/text.h"
#include "warehouse/engine/engine_abi.h"
#include "warehouse/engine/engine_rights.h"
#include "warehouse/engine/error_code.h"
#include "warehouse/sql/guard_switch.h"
#include "warehouse/sql/lexer.h"

namespace millrace::warehouse {
namespace {

// The embedded engine starts with habits of the command line tool: a bare expression is a query, and
// functions that show the process's inside are on. A server has neither.
constexpr std::string_view kServerHabits = "SET implicit_select = 0, allow_introspection_functions = 0";

// Idle sessions that print statements for the guard: as many as statements run at once by default.
constexpr std::size_t kIdlePrintersMax = 16;

/// The library takes parameters as four arrays.
struct ParameterArrays {
  explicit ParameterArrays(const NamedValues& parameters) {
    for (const auto& [name, value] : parameters) {
      names.push_back(name.data());
      name_sizes.push_back(name.size());
      values.push_back(value.data());
      value_sizes.push_back(value.size());
    }
  }
  std::vector<const char*> names;
  std::vector<std::size_t> name_sizes;
  std::vector<const char*> values;
  std::vector<std::size_t> value_sizes;
};

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const auto end = text.find('\n');
    found.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return found;
}

/// The engine refuses a second process too (code 76), but tells nobody why.
base::Result<base::DirectoryLock> lock_data_directory(const std::filesystem::path& path) {
  auto lock = base::DirectoryLock::take(path / "millrace-warehouse.lock");
  if (lock) return lock;
  if (lock.error().kind == base::ErrorKind::kConflict)
    return base::conflict(
        fmt::format("the data directory {}; stop that one or choose another directory with --path",
                    lock.error().message));
  return base::invalid(fmt::format("cannot write to the data directory {}: {}; choose another with --path",
                                   path.string(), std::strerror(lock.error().vendor_code)));
}

/// A database gets its folder with its first table. The library loads its `default` one only with a folder,
/// and stops at a description without one; such a database holds nothing, so its description can go.
void remove_empty_default_database(const std::string& path) {
  std::error_code error;
  const std::filesystem::path metadata = std::filesystem::path(path) / "metadata";
  if (!std::filesystem::exists(metadata / "default", error))
    std::filesystem::remove(metadata / "default.sql", error);
}

}  // namespace

struct EngineSession::Handles {
  chdb_connection* connection = nullptr;
  chdb_result* stream = nullptr;
  chdb_result* piece = nullptr;
  bool piece_is_new = false;
  chdb_insert_stream insert = nullptr;
};

struct Engine::Keeper {
  base::DirectoryLock lock;
  std::string path;
  chdb_connection* connection = nullptr;
};

EngineSession::EngineSession(std::unique_ptr<Handles> handles, const std::string& version)
    : handles_(std::move(handles)), version_(version) {}
EngineSession::EngineSession(EngineSession&&) noexcept = default;

EngineSession::~EngineSession() {
  if (!handles_) return;
  close_statement();
  chdb_close_conn(handles_->connection);
}

void EngineSession::close_statement() {
  if (handles_->piece != nullptr) chdb_destroy_query_result(handles_->piece);
  if (handles_->stream != nullptr) chdb_destroy_query_result(handles_->stream);
  if (handles_->insert != nullptr) {
    chdb_stream_cancel_insert(handles_->insert);
    chdb_destroy_insert_stream(handles_->insert);
  }
  handles_->piece = nullptr;
  handles_->stream = nullptr;
  handles_->insert = nullptr;
}

base::Result<void> EngineSession::use_database(std::string_view database) {
  MILLRACE_TRY(start("USE " + quoted_name(database), "TabSeparated", {}, false));
  close_statement();
  return {};
}

EngineSession::Verdict EngineSession::classify(std::string_view statement) const {
  chdb_query_info info{};
  info.struct_size = sizeof info;
  if (chdb_classify_query_n(*handles_->connection, statement.data(), statement.size(), "", 0, &info) !=
      CHDBSuccess)
    return {};
  return {info.statement_count, static_cast<StatementClass>(info.query_class)};
}

base::Result<void> EngineSession::start(std::string_view statement, std::string_view format,
                                        const NamedValues& parameters, bool streamed) {
  close_statement();
  progress_ = {};
  const ParameterArrays arrays(parameters);
  const auto run = [&](auto* function) {
    return function(*handles_->connection, statement.data(), statement.size(), format.data(), format.size(),
                    arrays.names.data(), arrays.name_sizes.data(), arrays.values.data(),
                    arrays.value_sizes.data(), parameters.size());
  };
  if (streamed) {
    handles_->stream = run(&chdb_stream_query_with_params_n);
    if (handles_->stream == nullptr)
      return base::fail(base::ErrorKind::kUnavailable, "the engine did not start the statement",
                        kUnknownException);
    const char* error = chdb_result_error(handles_->stream);
    if (error == nullptr) return {};
    // Raised before anything ran, so running it the other way is safe.
    if (std::strstr(error, "Streaming query is not supported") == nullptr)
      return std::unexpected(engine_error(error, version_));
    close_statement();
  }
  handles_->piece = run(&chdb_query_with_params_n);
  if (handles_->piece == nullptr)
    return base::fail(base::ErrorKind::kUnavailable, "the engine did not run the statement",
                      kUnknownException);
  if (const char* error = chdb_result_error(handles_->piece); error != nullptr)
    return std::unexpected(engine_error(error, version_));
  handles_->piece_is_new = true;
  return {};
}

base::Error EngineSession::syntax_error(std::string_view statement) {
  close_statement();
  const ParameterArrays none({});
  // The streaming call runs nothing but a SELECT, and what the classifier cannot read is none.
  handles_->stream = chdb_stream_query_with_params_n(
      *handles_->connection, statement.data(), statement.size(), "Null", 4, none.names.data(),
      none.name_sizes.data(), none.values.data(), none.value_sizes.data(), 0);
  const char* error = handles_->stream == nullptr ? nullptr : chdb_result_error(handles_->stream);
  if (error != nullptr && std::strstr(error, "Streaming query is not supported") == nullptr)
    return engine_error(error, version_);
  if (error == nullptr) cancel();
  return {base::ErrorKind::kInvalid, "Syntax error: the engine cannot read this statement", kSyntaxError};
}

base::Result<std::string_view> EngineSession::next() {
  if (handles_->stream != nullptr) {
    if (handles_->piece != nullptr) chdb_destroy_query_result(handles_->piece);
    handles_->piece = chdb_stream_fetch_result(*handles_->connection, handles_->stream);
    if (handles_->piece == nullptr) return std::string_view{};
    if (const char* error = chdb_result_error(handles_->piece); error != nullptr)
      return std::unexpected(engine_error(error, version_));
  } else if (handles_->piece == nullptr || !std::exchange(handles_->piece_is_new, false)) {
    return std::string_view{};
  }
  progress_.read_rows = std::max(progress_.read_rows, chdb_result_storage_rows_read(handles_->piece));
  progress_.read_bytes = std::max(progress_.read_bytes, chdb_result_storage_bytes_read(handles_->piece));
  progress_.written_rows = std::max(progress_.written_rows, chdb_result_rows_written(handles_->piece));
  progress_.written_bytes = std::max(progress_.written_bytes, chdb_result_bytes_written(handles_->piece));
  progress_.result_rows += chdb_result_rows_read(handles_->piece);
  // An empty answer has no buffer at all.
  const char* buffer = chdb_result_buffer(handles_->piece);
  const std::size_t size = chdb_result_length(handles_->piece);
  if (buffer == nullptr || size == 0) return std::string_view{};
  progress_.result_bytes += size;
  return std::string_view(buffer, size);
}

void EngineSession::cancel() {
  if (handles_->stream != nullptr) chdb_stream_cancel_query(*handles_->connection, handles_->stream);
  close_statement();
}

base::Result<void> EngineSession::start_insert(std::string_view insert, std::string_view format,
                                               const NamedValues& parameters) {
  close_statement();
  progress_ = {};
  const ParameterArrays arrays(parameters);
  handles_->insert = chdb_stream_insert_with_params_n(
      *handles_->connection, insert.data(), insert.size(), format.data(), format.size(), arrays.names.data(),
      arrays.name_sizes.data(), arrays.values.data(), arrays.value_sizes.data(), parameters.size());
  if (handles_->insert == nullptr)
    return base::fail(base::ErrorKind::kUnavailable, "the engine did not start the INSERT",
                      kUnknownException);
  if (const char* error = chdb_stream_insert_error(handles_->insert); error != nullptr)
    return std::unexpected(engine_error(error, version_));
  return {};
}

base::Result<void> EngineSession::append(std::string_view rows) {
  if (chdb_stream_append(handles_->insert, rows.data(), rows.size()) == CHDBSuccess) return {};
  const char* error = chdb_stream_insert_error(handles_->insert);
  return std::unexpected(
      engine_error(error == nullptr ? "the engine refused rows without a reason" : error, version_));
}

base::Result<void> EngineSession::finish_insert() {
  chdb_result* result = chdb_stream_done(handles_->insert);
  base::Result<void> outcome;
  if (result == nullptr) {
    const char* error = chdb_stream_insert_error(handles_->insert);
    outcome = std::unexpected(
        engine_error(error == nullptr ? "the engine ended the INSERT without an answer" : error, version_));
  } else {
    if (const char* error = chdb_result_error(result); error != nullptr)
      outcome = std::unexpected(engine_error(error, version_));
    progress_.written_rows = chdb_result_rows_written(result);
    progress_.written_bytes = chdb_result_bytes_written(result);
    progress_.read_rows = progress_.written_rows;
    progress_.read_bytes = progress_.written_bytes;
    chdb_destroy_query_result(result);
  }
  chdb_destroy_insert_stream(handles_->insert);
  handles_->insert = nullptr;
  return outcome;
}

void EngineSession::cancel_insert() {
  close_statement();
}

base::Result<void> make_data_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return base::invalid(fmt::format("cannot make the data directory {}: {}; choose another with --path",
                                     path, error.message()));
  return {};
}

base::Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  MILLRACE_TRY(make_data_directory(options.path));
  MILLRACE_TRY_ASSIGN(base::DirectoryLock lock, lock_data_directory(options.path));
  std::unique_ptr<Engine> engine(new Engine);
  engine->keeper_ = std::make_unique<Keeper>(std::move(lock), options.path);
  remove_empty_default_database(options.path);
  MILLRACE_TRY(engine->connect(options));
  MILLRACE_TRY(engine->exchange_default_database());
  MILLRACE_TRY(engine->learn_names());
  return engine;
}

base::Result<void> Engine::connect(const EngineOptions& options) {
  std::uint64_t memory = options.memory_bytes_max;
  if (memory == 0)
    memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
             static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
  // Ours stay: the library would replace what handles crashes, and its handlers wait for minutes before they
  // let go.
  chdb_set_signal_handlers_enabled(0);
  MILLRACE_TRY_ASSIGN(const EngineRights rights,
                      EngineRights::write(options.path, options.restricted_rights));
  std::vector<std::string> arguments = {"millrace-warehouse", "--path=" + options.path,
                                        "--config-file=" + rights.file().string(),
                                        fmt::format("--max_server_memory_usage={}", memory),
                                        fmt::format("--mark_cache_size={}", options.mark_cache_bytes_max)};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  keeper_->connection = chdb_connect(static_cast<int>(argv.size()), argv.data());
  if (keeper_->connection == nullptr)
    return base::unavailable(fmt::format(
        "the engine could not open {} (code 76): another process has it open, or the disk is full or "
        "read-only",
        options.path));
  return {};
}

base::Result<void> Engine::exchange_default_database() {
  std::error_code error;
  {
    MILLRACE_TRY_ASSIGN(EngineSession exchange, session({}));
    MILLRACE_TRY(exchange.start("DETACH DATABASE IF EXISTS default", "Null", {}, false));
    const bool stored = std::filesystem::exists(keeper_->path + "/metadata/default.sql", error);
    MILLRACE_TRY(exchange.start(
        stored ? "ATTACH DATABASE default" : "CREATE DATABASE default ENGINE = Atomic", "Null", {}, false));
  }
  MILLRACE_TRY_ASSIGN(const std::string engine_name,
                      ask("SELECT engine FROM system.databases WHERE name = 'default'"));
  if (base::trim(engine_name) != "Atomic")
    return base::fatal(
        "the engine did not give up the database that shows the file system; refusing to serve it");
  return {};
}

base::Result<void> Engine::learn_names() {
  MILLRACE_TRY_ASSIGN(const std::string version, ask("SELECT version()"));
  version_ = std::string(base::trim(version));
  MILLRACE_TRY_ASSIGN(
      const std::string functions,
      ask("SELECT name FROM system.functions UNION ALL SELECT name FROM system.table_functions"));
  guard_ = std::make_unique<Guard>(
      lines(functions), [this](std::string_view statement) { return print(statement); }, kGuardEnabled);
  MILLRACE_TRY_ASSIGN(const std::string types,
                      ask("SELECT name, content_type FROM system.formats WHERE content_type != ''"));
  for (const std::string& line : lines(types))
    if (const auto tab = line.find('\t'); tab != std::string::npos)
      content_types_.emplace_back(line.substr(0, tab), line.substr(tab + 1));
  return {};
}

Engine::~Engine() = default;

void Engine::close() {
  {
    const std::lock_guard lock(printers_mutex_);
    printers_.clear();
  }
  if (keeper_->connection != nullptr) chdb_close_conn(keeper_->connection);
  keeper_->connection = nullptr;
}

base::Result<EngineSession> Engine::session(const NamedValues& settings) {
  std::string name = "millrace-warehouse";
  std::string path = "--path=" + keeper_->path;
  char* argv[] = {name.data(), path.data()};
  auto handles = std::make_unique<EngineSession::Handles>();
  handles->connection = chdb_connect(2, argv);
  if (handles->connection == nullptr)
    return base::fail(base::ErrorKind::kUnavailable, "the engine opened no connection; try again",
                      kUnknownException);
  EngineSession session(std::move(handles), version_);
  std::string set(kServerHabits);
  for (const auto& [setting, value] : settings)
    set += ", " + quoted_name(setting) + " = " + quoted_string(value);
  MILLRACE_TRY(session.start(set, "TabSeparated", {}, false));
  return session;
}

base::Result<std::string> Engine::ask(std::string_view statement) {
  MILLRACE_TRY_ASSIGN(EngineSession asking, session({}));
  MILLRACE_TRY(asking.start(statement, "TabSeparatedRaw", {}, false));
  MILLRACE_TRY_ASSIGN(const std::string_view answer, asking.next());
  return std::string(answer);
}

base::Result<std::string> Engine::print(std::string_view statement) {
  std::optional<EngineSession> printer;
  {
    const std::lock_guard lock(printers_mutex_);
    if (!printers_.empty()) {
      printer.emplace(std::move(printers_.back()));
      printers_.pop_back();
    }
  }
  if (!printer) {
    // 0: a statement may be as long as the request handler lets it be.
    MILLRACE_TRY_ASSIGN(EngineSession opened, session({{"max_query_size", "0"}}));
    printer.emplace(std::move(opened));
  }
  MILLRACE_TRY(
      printer->start("SELECT formatQueryOrNull(" + quoted_string(statement) + ")", "RawBLOB", {}, false));
  MILLRACE_TRY_ASSIGN(const std::string_view answer, printer->next());
  std::string printed(answer);
  // Not NULL, whose text a statement could be.
  if (printed.empty() || printed == "\\N") return std::unexpected(printer->syntax_error(statement));
  const std::lock_guard lock(printers_mutex_);
  if (printers_.size() < kIdlePrintersMax) printers_.push_back(std::move(*printer));
  return printed;
}

void Engine::kill(std::string_view tag) {
  const auto killed =
      ask(fmt::format("KILL QUERY WHERE Settings['log_comment'] = {} ASYNC", quoted_string(tag)));
  if (!killed) spdlog::warn("cannot cancel an abandoned query: {}", killed.error().message);
}

}  // namespace millrace::warehouse
