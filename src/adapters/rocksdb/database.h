// The RocksDB database of the event log: opened, written, and opened again after a disk that failed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string_view>
#include <type_traits>

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "adapters/rocksdb/options.h"
#include "base/directory_lock.h"
#include "base/result.h"

namespace millrace::adapters::rocksdb {

/// A status of RocksDB's as an error of ours, whose kind says what a caller can do about it.
[[nodiscard]] std::unexpected<base::Error> failed(std::string_view doing, const ::rocksdb::Status& status);
/// kFatal, with the cure.
[[nodiscard]] std::unexpected<base::Error> damaged(std::string_view what);

/// Thread-safe. Its lock comes before any mutex that a callback of it takes.
class Database {
 public:
  /// Takes the directory, opens the database in it and checks its format. Errors: as RocksdbEventLog::open.
  [[nodiscard]] static base::Result<std::unique_ptr<Database>> open(const Options& options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] const Options& options() const { return options_; }

  /// What is written when the database is opened again, to put right what failed writes left. To be set
  /// before the first write of another thread.
  void set_repair(std::function<void(::rocksdb::WriteBatch&)> repair) { repair_ = std::move(repair); }

  /// Durable when it returns, with one sync. Then runs `on_written`, before the database can be opened again:
  /// what is in memory by then is not repaired away. Opens the database again first if a write before has
  /// failed. Errors: kUnavailable (the disk; also until it is opened again), kFatal.
  [[nodiscard]] base::Result<void> write(
      ::rocksdb::WriteBatch& batch, std::string_view doing,
      const std::function<void(::rocksdb::DB&)>& on_written = [](::rocksdb::DB&) {});

  /// Runs `reads` on the open database. Errors: its own, kUnavailable (closed after a write that failed).
  template <class Reads>
  [[nodiscard]] std::invoke_result_t<Reads, ::rocksdb::DB&> read(const Reads& reads) {
    const std::shared_lock used(mutex_);
    if (database_ == nullptr) return closed();
    return reads(*database_);
  }

  /// Every row whose key begins with `kind`, in order of keys, its key without that byte.
  [[nodiscard]] base::Result<void> for_each(
      char kind, const std::function<base::Result<void>(std::string_view, std::string_view)>& on_row);

 private:
  Database(const Options& options, base::DirectoryLock lock, std::unique_ptr<::rocksdb::DB> database);
  [[nodiscard]] base::Result<void> check_format();
  [[nodiscard]] base::Result<void> open_again_if_needed();
  [[nodiscard]] static std::unexpected<base::Error> closed();

  const Options options_;
  base::DirectoryLock lock_;
  ::rocksdb::WriteOptions write_options_;
  std::function<void(::rocksdb::WriteBatch&)> repair_;
  std::shared_mutex mutex_;                  // shared: the database stays open
  std::unique_ptr<::rocksdb::DB> database_;  // replaced under mutex_; null when that failed
  std::atomic<bool> needs_opening_ = false;  // a write has failed
};

}  // namespace millrace::adapters::rocksdb
