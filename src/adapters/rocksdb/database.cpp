#include "adapters/rocksdb/database.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <spdlog/spdlog.h>

#include "adapters/rocksdb/keys.h"
#include "base/text.h"

namespace millrace::adapters::rocksdb {
namespace {

using base::ErrorKind;
using base::Result;

ErrorKind kind_of(const ::rocksdb::Status& status) {
  switch (status.code()) {
    case ::rocksdb::Status::kNotFound:
      return ErrorKind::kNotFound;
    case ::rocksdb::Status::kIOError:  // a full disk, for one: it can be freed
    case ::rocksdb::Status::kBusy:
    case ::rocksdb::Status::kTimedOut:
    case ::rocksdb::Status::kTryAgain:
    case ::rocksdb::Status::kAborted:
    case ::rocksdb::Status::kIncomplete:
    case ::rocksdb::Status::kMergeInProgress:
    case ::rocksdb::Status::kShutdownInProgress:
    case ::rocksdb::Status::kExpired:
      return ErrorKind::kUnavailable;
    default:  // corruption, or a call that RocksDB does not understand
      return ErrorKind::kFatal;
  }
}

/// RocksDB's messages go to our log. Its own log file would lie on the disk whose failure it reports, and
/// Debian's build ends the program when it writes to a file that failed before.
class RocksdbLogger final : public ::rocksdb::Logger {
 public:
  RocksdbLogger() : Logger(::rocksdb::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 1'000> text{};
    const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
    if (size <= 0) return;
    const std::string_view message(text.data(), std::min(static_cast<std::size_t>(size), text.size() - 1));
    // The level stands in front of it, in brackets; what is below our level does not come here.
    spdlog::warn("event log: RocksDB: {}", base::printable(message, text.size()));
  }
};

/// Called by whichever thread syncs.
class SyncListener final : public ::rocksdb::EventListener {
 public:
  explicit SyncListener(telemetry::Histogram duration) : duration_(duration) {}
  bool ShouldBeNotifiedOnFileIO() override { return true; }
  void OnFileSyncFinish(const ::rocksdb::FileOperationInfo& sync) override {
    duration_.observe(sync.duration);
  }

 private:
  const telemetry::Histogram duration_;
};

::rocksdb::Options database_options(const Options& options) {
  ::rocksdb::Options database;
  database.listeners.push_back(std::make_shared<SyncListener>(options.fsync_duration));
  database.create_if_missing = true;
  database.paranoid_checks = true;
  // Stops replaying at a torn tail, which is what a power cut leaves of an append that was not acknowledged.
  // (RocksDB does not recycle its logs in this mode, so none are asked for.)
  database.wal_recovery_mode = ::rocksdb::WALRecoveryMode::kPointInTimeRecovery;

  database.write_buffer_size = options.write_buffer_bytes;
  database.max_write_buffer_number = 3;
  database.max_background_jobs = options.background_threads;
  database.max_open_files = 256;
  database.bytes_per_sync = std::uint64_t{1} << 20u;
  // Records are written once, in rising order, and read mostly at the end: few rewrites matter more than few
  // files.
  database.compaction_style = ::rocksdb::kCompactionStyleUniversal;

  const auto supported = ::rocksdb::GetSupportedCompressions();
  const auto has = [&](::rocksdb::CompressionType type) {
    return std::ranges::find(supported, type) != supported.end();
  };
  database.compression =
      has(::rocksdb::kLZ4Compression) ? ::rocksdb::kLZ4Compression : ::rocksdb::kNoCompression;
  if (has(::rocksdb::kZSTD)) database.bottommost_compression = ::rocksdb::kZSTD;

  ::rocksdb::BlockBasedTableOptions table;
  table.block_cache = ::rocksdb::NewLRUCache(options.block_cache_bytes);
  table.cache_index_and_filter_blocks = true;
  table.block_size = std::size_t{16} << 10u;
  database.table_factory.reset(::rocksdb::NewBlockBasedTableFactory(table));

  database.info_log = std::make_shared<RocksdbLogger>();
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  return database;
}

/// RocksDB makes a new database where its CURRENT file is missing; over the remains of an old one that would
/// hide a loss.
bool has_lost_current_file(const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / "CURRENT")) return false;
  return std::ranges::any_of(std::filesystem::directory_iterator(directory), [](const auto& entry) {
    return entry.path().extension() == ".sst" || entry.path().filename().string().starts_with("MANIFEST-");
  });
}

}  // namespace

std::unexpected<base::Error> failed(std::string_view doing, const ::rocksdb::Status& status) {
  return base::fail(kind_of(status), fmt::format("event log: {}: {}", doing, status.ToString()),
                    static_cast<int>(status.code()));
}

std::unexpected<base::Error> damaged(std::string_view what) {
  return base::fatal(fmt::format(
      "event log: {}; the directory is damaged: restore it, or start with an empty one and rebuild", what));
}

Database::Database(const Options& options, base::DirectoryLock lock, std::unique_ptr<::rocksdb::DB> database)
    : options_(options), lock_(std::move(lock)), database_(std::move(database)) {
  write_options_.sync = options.fsync;
}

Database::~Database() {
  if (database_ == nullptr) return;
  // After a failed write there is nothing acknowledged that is not on the disk, and RocksDB ends the program
  // when it is told to sync a file that failed before.
  if (!needs_opening_)
    if (const auto synced = database_->SyncWAL(); !synced.ok())
      spdlog::error("event log: the last sync failed: {}", synced.ToString());
  if (const auto closed = database_->Close(); !closed.ok())
    spdlog::error("event log: close: {}", closed.ToString());
}

Result<std::unique_ptr<Database>> Database::open(const Options& options) {
  std::error_code code;
  std::filesystem::create_directories(options.directory, code);
  if (code)
    return base::fatal(
        fmt::format("event log: cannot make {}: {}", options.directory.string(), code.message()),
        code.value());
  // Not inherited by the servers that we start: one that outlives us must not keep the log locked.
  auto lock = base::DirectoryLock::take(options.directory / "owner.lock");
  if (!lock && lock.error().kind == base::ErrorKind::kConflict)
    return base::conflict(fmt::format(
        "event log: {}; stop that one, or give this one a data directory of its own", lock.error().message));
  if (!lock) return base::with_context("event log", lock.error());
  if (has_lost_current_file(options.directory))
    return damaged(fmt::format("{} has lost its CURRENT file", options.directory.string()));
  ::rocksdb::DB* opened = nullptr;
  const auto status = ::rocksdb::DB::Open(database_options(options), options.directory.string(), &opened);
  std::unique_ptr<::rocksdb::DB> handle(opened);
  if (!status.ok())
    return base::fatal(
        fmt::format(
            "event log: cannot open {}: {}; free the disk if it is full, else restore the directory, or "
            "start with an empty one and rebuild",
            options.directory.string(), status.ToString()),
        static_cast<int>(status.code()));
  std::unique_ptr<Database> database(new Database(options, std::move(*lock), std::move(handle)));
  if (auto checked = database->check_format(); !checked)
    return base::with_context(options.directory.string(), std::move(checked).error());
  return database;
}

Result<void> Database::check_format() {
  std::string format;
  const auto found = database_->Get({}, slice(kFormatKey), &format);
  if (found.ok()) {
    if (format == kFormat) return {};
    return base::fatal(fmt::format(
        "event log: the directory holds '{}', this program reads '{}'; use the program that wrote it",
        base::printable(format, 60), kFormat));
  }
  if (!found.IsNotFound()) return failed("read the format", found);
  const std::unique_ptr<::rocksdb::Iterator> rows(database_->NewIterator({}));
  rows->SeekToFirst();
  if (rows->Valid())
    return base::fatal(
        "event log: the directory holds another program's RocksDB database; use another directory");
  if (!rows->status().ok()) return failed("read the format", rows->status());
  ::rocksdb::WriteBatch batch;
  batch.Put(slice(kFormatKey), slice(kFormat));
  return write(batch, "write the format");
}

Result<void> Database::write(::rocksdb::WriteBatch& batch, std::string_view doing,
                             const std::function<void(::rocksdb::DB&)>& on_written) {
  MILLRACE_TRY(open_again_if_needed());
  const std::shared_lock used(mutex_);
  if (database_ == nullptr || needs_opening_) return closed();
  const auto written = database_->Write(write_options_, &batch);
  if (!written.ok()) {
    // RocksDB never trusts a file again that failed, and its own recovery from a full disk goes on writing to
    // it: only another start from the disk helps.
    needs_opening_ = true;
    return failed(doing, written);
  }
  on_written(*database_);
  return {};
}

/// Opens the database once more after a write that failed. What is in memory stands: what a failed write left
/// on the disk beyond it is removed.
Result<void> Database::open_again_if_needed() {
  if (!needs_opening_) return {};
  const std::unique_lock alone(mutex_);
  if (!needs_opening_) return {};
  if (database_ != nullptr) database_->Close().PermitUncheckedError();
  database_.reset();
  ::rocksdb::DB* opened = nullptr;
  const auto status = ::rocksdb::DB::Open(database_options(options_), options_.directory.string(), &opened);
  if (!status.ok()) return failed("open it again", status);
  database_.reset(opened);
  ::rocksdb::WriteBatch batch;
  if (repair_) repair_(batch);
  if (const auto written = database_->Write(write_options_, &batch); !written.ok())
    return failed("open it again", written);
  needs_opening_ = false;
  spdlog::info("event log: opened again after writes had failed");
  return {};
}

Result<void> Database::for_each(
    char kind, const std::function<Result<void>(std::string_view, std::string_view)>& on_row) {
  return read([&](::rocksdb::DB& database) -> Result<void> {
    const std::string first(1, kind);
    const std::string stop(1, static_cast<char>(kind + 1));
    const ::rocksdb::Slice upper = stop;
    ::rocksdb::ReadOptions read_options;
    read_options.iterate_upper_bound = &upper;
    const std::unique_ptr<::rocksdb::Iterator> rows(database.NewIterator(read_options));
    for (rows->Seek(first); rows->Valid(); rows->Next())
      MILLRACE_TRY(on_row(view(rows->key()).substr(1), view(rows->value())));
    if (!rows->status().ok()) return failed("recover", rows->status());
    return {};
  });
}

std::unexpected<base::Error> Database::closed() {
  return base::unavailable("event log: closed after failed writes until it can be opened again");
}

}  // namespace millrace::adapters::rocksdb
