// The embedded ClickHouse engine. Everything that names the library's interface is in engine.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "warehouse/sql/guard.h"
#include "warehouse/sql/guard_switch.h"

namespace millrace::warehouse {

using NamedValues = std::vector<std::pair<std::string, std::string>>;

struct EngineOptions {
  std::string path;                    ///< Absolute; made if missing.
  std::uint64_t memory_bytes_max = 0;  ///< Of all queries together; 0: half of the machine's.
  std::uint64_t mark_cache_bytes_max = 256u << 20;
  bool restricted_rights = kGuardEnabled;  ///< The engine's own rights are those of EngineRights' list.
};

/// Errors: kInvalid, with a sentence that says what to do.
[[nodiscard]] base::Result<void> make_data_directory(const std::string& path);

/// What a statement did so far. Source: the engine's own counts.
struct Progress {
  std::uint64_t read_rows = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t written_rows = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t result_rows = 0;
  std::uint64_t result_bytes = 0;
};

class Engine;

/// One statement's own connection to the engine: what it sets or uses is gone with it, and so is whatever a
/// failed statement leaves behind. One caller, one statement at a time. Errors carry ClickHouse's code and
/// text.
class EngineSession {
 public:
  ~EngineSession();
  EngineSession(EngineSession&&) noexcept;
  EngineSession& operator=(EngineSession&&) = delete;

  [[nodiscard]] base::Result<void> use_database(std::string_view database);

  struct Verdict {
    std::uint32_t statements = 0;
    StatementClass statement_class = StatementClass::kUnknown;
  };
  [[nodiscard]] Verdict classify(std::string_view statement) const;

  /// Why the engine does not understand a statement that it classifies as unknown; runs nothing.
  [[nodiscard]] base::Error syntax_error(std::string_view statement);

  /// Starts a statement. A SELECT (`streamed`) is answered piece by piece by `next`, anything else at once; a
  /// SELECT that the engine cannot stream is run at once too.
  [[nodiscard]] base::Result<void> start(std::string_view statement, std::string_view format,
                                         const NamedValues& parameters, bool streamed);
  /// The next piece of the answer, empty at its end; valid until the next call. Blocks while the engine
  /// computes it.
  [[nodiscard]] base::Result<std::string_view> next();
  /// Gives up a running SELECT between two pieces.
  void cancel();

  /// Starts an INSERT without FORMAT or VALUES; its rows follow by `append`.
  [[nodiscard]] base::Result<void> start_insert(std::string_view insert, std::string_view format,
                                                const NamedValues& parameters);
  /// Blocks while the engine is busy with earlier rows.
  [[nodiscard]] base::Result<void> append(std::string_view rows);
  /// Returns when the rows are written as durably as the table's settings say.
  [[nodiscard]] base::Result<void> finish_insert();
  /// Rows of blocks that are not complete yet are dropped.
  void cancel_insert();

  [[nodiscard]] const Progress& progress() const { return progress_; }

 private:
  friend class Engine;
  struct Handles;
  EngineSession(std::unique_ptr<Handles> handles, const std::string& version);
  void close_statement();

  std::unique_ptr<Handles> handles_;
  const std::string& version_;
  Progress progress_;
};

/// Thread-safe. One in a process.
class Engine {
 public:
  /// Errors: kConflict (another process has the directory), kUnavailable (the engine cannot open it),
  /// kInvalid.
  [[nodiscard]] static base::Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  ~Engine();

  /// Names of settings are quoted here, and values too. Errors: unknown name (115), unusable value.
  [[nodiscard]] base::Result<EngineSession> session(const NamedValues& settings);

  /// As `SELECT version()` tells it.
  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] const Guard& guard() const { return *guard_; }
  /// HTTP's Content-Type by output format.
  [[nodiscard]] const NamedValues& content_types() const { return content_types_; }

  /// Ends every running SELECT whose session has the setting log_comment = `tag`.
  void kill(std::string_view tag);

  /// Lets go of the connection that keeps the engine up. Only when nothing runs any more; the process must
  /// then end by _Exit, because the engine's own shutdown fails once tables exist.
  void close();

 private:
  Engine() = default;
  // The steps of `open`, in their order.
  /// Starts the engine in its directory.
  [[nodiscard]] base::Result<void> connect(const EngineOptions& options);
  /// The library lays its `default` database over the server's file system, so that a table's name could be a
  /// file's. Taking it away and loading what is stored in the directory leaves an ordinary database with the
  /// same tables. In one session: none can be opened while the database is unavailable.
  [[nodiscard]] base::Result<void> exchange_default_database();
  /// The version, and what the guard and HTTP have to know by name.
  [[nodiscard]] base::Result<void> learn_names();
  [[nodiscard]] base::Result<std::string> ask(std::string_view statement);
  /// The statement as the engine prints it back, whatever the request sets. Thread-safe.
  [[nodiscard]] base::Result<std::string> print(std::string_view statement);

  struct Keeper;
  std::unique_ptr<Keeper> keeper_;
  std::mutex printers_mutex_;
  std::vector<EngineSession> printers_;  ///< Idle sessions of `print`; guarded by printers_mutex_.
  std::string version_;
  std::unique_ptr<Guard> guard_;
  NamedValues content_types_;
};

}  // namespace millrace::warehouse
