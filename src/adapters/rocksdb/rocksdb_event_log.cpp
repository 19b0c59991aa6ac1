#include "adapters/rocksdb/rocksdb_event_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include "adapters/rocksdb/record_codec.h"
#include "base/text.h"
#include "base/uuid.h"
#include "ports/one_process_inspector.h"

namespace millrace::adapters::rocksdb {
namespace {

using base::Deadline;
using base::Error;
using base::ErrorKind;
using base::Result;
using ports::TopicPartition;

constexpr std::size_t kGroupLengthMax = 249;

// The database's keys, by first byte. All numbers in them are big-endian, so that keys sort as numbers do.
//   !                              → kFormat
//   t topic name                   → topic number, partitions, topic id
//   p topic number, partition      → begin, end
//   g group, topic                 → generation
//   c group, topic, partition      → offset, metadata
//   r topic number, partition, offset → record (record_codec.h)
constexpr std::string_view kFormatKey = "!";
constexpr std::string_view kFormat = "millrace event log 1";
constexpr char kTopicKey = 't';
constexpr char kRangeKey = 'p';
constexpr char kGenerationKey = 'g';
constexpr char kCommitKey = 'c';
constexpr char kRecordKey = 'r';

/// What a caller can do about a status of RocksDB's.
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

std::unexpected<Error> failed(std::string_view doing, const ::rocksdb::Status& status) {
  return base::fail(kind_of(status), fmt::format("event log: {}: {}", doing, status.ToString()),
                    static_cast<int>(status.code()));
}

std::unexpected<Error> damaged(std::string_view what) {
  return base::fatal(fmt::format(
      "event log: {}; the directory is damaged: restore it, or start with an empty one and rebuild", what));
}

::rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const ::rocksdb::Slice& text) {
  return {text.data(), text.size()};
}

std::string topic_key(std::string_view topic) {
  return std::string(1, kTopicKey).append(topic);
}

std::string partition_key(char kind, std::uint32_t topic, std::int32_t partition) {
  std::string key(1, kind);
  append_big_endian_32(key, topic);
  append_big_endian_32(key, static_cast<std::uint32_t>(partition));
  return key;
}

std::string record_key(std::uint32_t topic, std::int32_t partition, std::int64_t offset) {
  std::string key = partition_key(kRecordKey, topic, partition);
  append_big_endian_64(key, static_cast<std::uint64_t>(offset));
  return key;
}

std::string range_value(std::int64_t begin, std::int64_t end) {
  std::string value;
  append_big_endian_64(value, static_cast<std::uint64_t>(begin));
  append_big_endian_64(value, static_cast<std::uint64_t>(end));
  return value;
}

/// The directory's owner, over all processes: an flock, which the system gives back however the process ends.
class DirectoryLock {
 public:
  static Result<DirectoryLock> take(const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "owner.lock";
    // Not inherited by the servers that we start: one that outlives us must not keep the log locked.
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0)
      return base::fatal(
          fmt::format("event log: cannot write to {}: {}", directory.string(), std::strerror(errno)), errno);
    DirectoryLock lock(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      std::array<char, 32> owner{};
      const ssize_t length = ::pread(descriptor, owner.data(), owner.size(), 0);
      const std::string_view pid(owner.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
      return base::conflict(fmt::format(
          "event log: {} is in use by process {}; stop that one, or give this one a data directory of its "
          "own",
          directory.string(), pid.empty() ? "unknown" : base::printable(base::trim(pid), owner.size())));
    }
    const std::string pid = std::to_string(::getpid());
    // Only for the message above, so a failure to write it does not matter.
    if (::ftruncate(descriptor, 0) == 0) [[maybe_unused]]
      const auto written = ::pwrite(descriptor, pid.data(), pid.size(), 0);
    return lock;
  }
  DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

struct Partition {
  std::uint32_t topic_number = 0;
  std::int32_t number = 0;
  std::string name;  // "order.events/3", for messages

  std::mutex mutex;
  std::condition_variable appended;  // end has grown, or begin has
  std::condition_variable free;      // nobody writes any more
  std::int64_t begin = 0;            // guarded by mutex
  std::int64_t end = 0;              // guarded by mutex; changed only by who set `writing`
  bool writing = false;              // guarded by mutex
};

/// The right to write to one partition.
class WriterTurn {
 public:
  /// Errors: kUnavailable when the turn did not come in time.
  static Result<WriterTurn> take(Partition& partition, Deadline deadline) {
    std::unique_lock lock(partition.mutex);
    if (!partition.free.wait_until(lock, deadline.moment(), [&] { return !partition.writing; }))
      return base::unavailable(fmt::format("event log: {} is busy", partition.name));
    partition.writing = true;
    return WriterTurn(partition);
  }
  WriterTurn(WriterTurn&& other) noexcept : partition_(std::exchange(other.partition_, nullptr)) {}
  WriterTurn& operator=(WriterTurn&&) = delete;
  ~WriterTurn() {
    if (partition_ == nullptr) return;
    {
      const std::lock_guard lock(partition_->mutex);
      partition_->writing = false;
    }
    partition_->free.notify_one();
  }

 private:
  explicit WriterTurn(Partition& partition) : partition_(&partition) {}
  Partition* partition_;
};

struct Topic {
  std::uint32_t number = 0;
  ports::TopicInfo info;
  std::vector<std::unique_ptr<Partition>> partitions;
};

using GroupKey = std::pair<std::string, std::string>;  // group, topic

struct Group {
  std::vector<const ports::GroupMember*> members;  // the first owns all partitions, once it has taken over
  const ports::GroupMember* owner = nullptr;
  std::int64_t generation = 0;
};

/// Shared with the members, so that one may leave after the log is gone.
struct Groups {
  std::mutex mutex;
  std::map<GroupKey, Group> groups;                                                    // guarded by mutex
  std::map<std::pair<std::string, TopicPartition>, ports::CommittedOffset> committed;  // guarded by mutex
};

std::string group_key(char kind, const GroupKey& group) {
  std::string key(1, kind);
  append_text(key, group.first);
  append_text(key, group.second);
  return key;
}

std::string commit_key(const std::string& group, const TopicPartition& partition) {
  std::string key = group_key(kCommitKey, {group, partition.topic});
  append_big_endian_32(key, static_cast<std::uint32_t>(partition.partition));
  return key;
}

/// What RocksDB has to say goes to our log. Its own log file would lie on the disk whose failure it reports,
/// and Debian's build ends the program when it writes to a file that failed before.
class Notes final : public ::rocksdb::Logger {
 public:
  Notes() : Logger(::rocksdb::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 1'000> text{};
    const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
    if (size <= 0) return;
    const std::string_view said(text.data(), std::min(static_cast<std::size_t>(size), text.size() - 1));
    // The level stands in front of it, in brackets; what is not above the least level does not come here.
    spdlog::warn("event log: RocksDB says: {}", base::printable(said, text.size()));
  }
};

::rocksdb::Options database_options(const Options& options) {
  ::rocksdb::Options database;
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

  database.info_log = std::make_shared<Notes>();
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  return database;
}

/// RocksDB makes a new database where its CURRENT file is missing; over the remains of an old one that would
/// hide a loss.
bool has_headless_remains(const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / "CURRENT")) return false;
  return std::ranges::any_of(std::filesystem::directory_iterator(directory), [](const auto& entry) {
    return entry.path().extension() == ".sst" || entry.path().filename().string().starts_with("MANIFEST-");
  });
}

}  // namespace

class RocksdbEventLog::Impl {
 public:
  Impl(const Options& given, DirectoryLock owned, std::unique_ptr<::rocksdb::DB> opened)
      : options(given), lock(std::move(owned)), database(std::move(opened)) {
    write_options.sync = options.fsync;
  }
  ~Impl() {
    if (database == nullptr) return;
    // After a failed write there is nothing acknowledged that is not on the disk, and RocksDB ends the
    // program when it is told to sync a file that failed before.
    if (!needs_opening)
      if (const auto synced = database->SyncWAL(); !synced.ok())
        spdlog::error("event log: the last sync failed: {}", synced.ToString());
    if (const auto closed = database->Close(); !closed.ok())
      spdlog::error("event log: close: {}", closed.ToString());
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> load() {
    MILLRACE_TRY(check_format());
    MILLRACE_TRY(for_each(
        kTopicKey, [this](std::string_view key, std::string_view value) { return load_topic(key, value); }));
    MILLRACE_TRY(for_each(
        kRangeKey, [this](std::string_view key, std::string_view value) { return load_range(key, value); }));
    MILLRACE_TRY(for_each(kGenerationKey, [this](std::string_view key, std::string_view value) {
      return load_generation(key, value);
    }));
    MILLRACE_TRY(for_each(kCommitKey, [this](std::string_view key, std::string_view value) {
      return load_commit(key, value);
    }));
    for (const auto& [name, topic] : topics)
      for (const auto& partition : topic->partitions) MILLRACE_TRY(check_partition(*partition));
    return {};
  }

  /// Holds `database` open while a caller uses it.
  [[nodiscard]] std::shared_lock<std::shared_mutex> use() { return std::shared_lock(database_mutex); }

  /// Without use() held.
  Result<void> write(::rocksdb::WriteBatch& batch, std::string_view doing) {
    MILLRACE_TRY(open_again_if_needed());
    const auto used = use();
    return write_used(batch, doing);
  }

  /// With use() held.
  Result<void> write_used(::rocksdb::WriteBatch& batch, std::string_view doing) {
    if (database == nullptr || needs_opening) return closed();
    const auto written = database->Write(write_options, &batch);
    if (written.ok()) return {};
    // RocksDB never trusts a file again that failed, and its own recovery from a full disk goes on writing to
    // it: only another start from the disk helps.
    needs_opening = true;
    return failed(doing, written);
  }

  /// Opens the database once more after a write that failed. What is in memory stands:
  /// an append that failed may have reached the disk, and is removed. Without use() held.
  Result<void> open_again_if_needed() {
    if (!needs_opening) return {};
    const std::unique_lock alone(database_mutex);
    if (!needs_opening) return {};
    if (database != nullptr) database->Close().PermitUncheckedError();
    database.reset();
    ::rocksdb::DB* opened = nullptr;
    const auto status = ::rocksdb::DB::Open(database_options(options), options.directory.string(), &opened);
    if (!status.ok()) return failed("open it again", status);
    database.reset(opened);
    ::rocksdb::WriteBatch batch;
    {
      const std::shared_lock topics_lock(topics_mutex);
      for (const auto& [name, topic] : topics)
        for (const auto& partition : topic->partitions) {
          const std::lock_guard partition_lock(partition->mutex);
          batch.DeleteRange(record_key(partition->topic_number, partition->number, partition->end),
                            partition_key(kRecordKey, partition->topic_number, partition->number + 1));
          batch.Put(partition_key(kRangeKey, partition->topic_number, partition->number),
                    range_value(partition->begin, partition->end));
        }
    }
    if (const auto written = database->Write(write_options, &batch); !written.ok())
      return failed("open it again", written);
    needs_opening = false;
    spdlog::info("event log: opened again after writes had failed");
    return {};
  }

  static std::unexpected<Error> closed() {
    return base::unavailable("event log: closed after failed writes until it can be opened again");
  }

  Result<Partition*> find(const TopicPartition& where) {
    const std::shared_lock topics_lock(topics_mutex);
    const auto topic = topics.find(where.topic);
    if (topic == topics.end())
      return base::not_found(fmt::format("there is no topic '{}'", base::printable(where.topic, 80)));
    if (where.partition < 0 || where.partition >= topic->second->info.partitions)
      return base::not_found(fmt::format("topic {} has no partition {}", where.topic, where.partition));
    return topic->second->partitions[static_cast<std::size_t>(where.partition)].get();
  }

  /// Records of [from, end) up to the first that is not there.
  Result<std::vector<ports::Record>> fetch(const Partition& partition, std::int64_t from, std::int64_t end,
                                           ports::ReadLimit limit) {
    const auto used = use();
    if (database == nullptr) return closed();
    std::vector<ports::Record> records;
    const std::string stop = record_key(partition.topic_number, partition.number, end);
    const ::rocksdb::Slice upper = stop;
    ::rocksdb::ReadOptions read_options;
    read_options.iterate_upper_bound = &upper;
    read_options.adaptive_readahead = true;
    const std::unique_ptr<::rocksdb::Iterator> rows(database->NewIterator(read_options));
    std::string wanted = record_key(partition.topic_number, partition.number, from);
    std::size_t bytes = 0;
    std::int64_t offset = from;
    for (rows->Seek(wanted); rows->Valid() && rows->key() == slice(wanted); rows->Next()) {
      auto record = decode_record(offset, view(rows->value()));
      if (!record) return damaged(fmt::format("record {} of {} cannot be read", offset, partition.name));
      bytes += ports::bytes_of(*record);
      if (!records.empty() && bytes > limit.bytes_max) break;
      records.push_back(std::move(*record));
      if (records.size() >= limit.records_max) break;
      wanted = record_key(partition.topic_number, partition.number, ++offset);
    }
    if (!rows->status().ok()) return failed(fmt::format("read {}", partition.name), rows->status());
    return records;
  }

  const Options options;
  DirectoryLock lock;
  // Taken before every other mutex here but that of the groups.
  std::shared_mutex database_mutex;
  std::unique_ptr<::rocksdb::DB> database;  // replaced under database_mutex; null when that failed
  ::rocksdb::WriteOptions write_options;
  std::atomic<bool> needs_opening = false;

  /// Tells those who wait for any of several partitions.
  void notify() {
    {
      const std::lock_guard appends_lock(appends_mutex);
      ++appends;
    }
    appended_anywhere.notify_all();
  }

  std::mutex appends_mutex;
  std::condition_variable appended_anywhere;
  std::uint64_t appends = 0;  // guarded by appends_mutex; how many there were

  std::shared_mutex topics_mutex;
  std::map<std::string, std::unique_ptr<Topic>>
      topics;                           // guarded by topics_mutex; a topic once there stays, unchanged
  std::uint32_t next_topic_number = 0;  // guarded by topics_mutex

  std::shared_ptr<Groups> groups = std::make_shared<Groups>();

 private:
  Result<void> check_format() {
    std::string format;
    const auto found = database->Get({}, slice(kFormatKey), &format);
    if (found.ok()) {
      if (format == kFormat) return {};
      return base::fatal(fmt::format(
          "event log: the directory holds '{}', this program reads '{}'; use the program that wrote it",
          base::printable(format, 60), kFormat));
    }
    if (!found.IsNotFound()) return failed("read the format", found);
    const std::unique_ptr<::rocksdb::Iterator> rows(database->NewIterator({}));
    rows->SeekToFirst();
    if (rows->Valid())
      return base::fatal(
          "event log: the directory holds another program's RocksDB database; use another directory");
    if (!rows->status().ok()) return failed("read the format", rows->status());
    ::rocksdb::WriteBatch batch;
    batch.Put(slice(kFormatKey), slice(kFormat));
    return write(batch, "write the format");
  }

  template <class OnRow>
  Result<void> for_each(char kind, const OnRow& on_row) {
    const std::string first(1, kind);
    const std::string stop(1, static_cast<char>(kind + 1));
    const ::rocksdb::Slice upper = stop;
    ::rocksdb::ReadOptions read_options;
    read_options.iterate_upper_bound = &upper;
    const std::unique_ptr<::rocksdb::Iterator> rows(database->NewIterator(read_options));
    for (rows->Seek(first); rows->Valid(); rows->Next())
      MILLRACE_TRY(on_row(view(rows->key()).substr(1), view(rows->value())));
    if (!rows->status().ok()) return failed("recover", rows->status());
    return {};
  }

  Result<void> load_topic(std::string_view name, std::string_view value) {
    const auto number = take_big_endian_32(value);
    const auto partitions = take_big_endian_32(value);
    if (!number || !partitions || *partitions > ports::kTopicPartitionsMax || value.empty())
      return damaged("a topic's description cannot be read");
    add_topic(*number, {std::string(name), static_cast<std::int32_t>(*partitions), std::string(value)});
    return {};
  }

  Result<void> load_range(std::string_view key, std::string_view value) {
    const auto topic_number = take_big_endian_32(key);
    const auto number = take_big_endian_32(key);
    const auto begin = take_big_endian_64(value);
    const auto end = take_big_endian_64(value);
    if (!topic_number || !number || !begin || !end || *begin > *end)
      return damaged("a partition's range cannot be read");
    for (const auto& [name, topic] : topics) {
      if (topic->number != *topic_number || *number >= topic->partitions.size()) continue;
      Partition& partition = *topic->partitions[*number];
      partition.begin = static_cast<std::int64_t>(*begin);
      partition.end = static_cast<std::int64_t>(*end);
      return {};
    }
    return damaged("a partition's topic is missing");
  }

  Result<void> load_generation(std::string_view key, std::string_view value) {
    const auto group = take_text(key);
    const auto topic = take_text(key);
    const auto generation = take_big_endian_64(value);
    if (!group || !topic || !generation) return damaged("a group's generation cannot be read");
    groups->groups[{std::string(*group), std::string(*topic)}].generation =
        static_cast<std::int64_t>(*generation);
    return {};
  }

  Result<void> load_commit(std::string_view key, std::string_view value) {
    const auto group = take_text(key);
    const auto topic = take_text(key);
    const auto partition = take_big_endian_32(key);
    const auto offset = take_big_endian_64(value);
    if (!group || !topic || !partition || !offset) return damaged("a committed offset cannot be read");
    groups->committed[{std::string(*group), {std::string(*topic), static_cast<std::int32_t>(*partition)}}] = {
        static_cast<std::int64_t>(*offset), std::string(value)};
    return {};
  }

  /// The last record must be there. Records beyond the end are of an append that failed before a later,
  /// shorter one took its offsets; they must not come to light when the end grows over them.
  Result<void> check_partition(const Partition& partition) {
    const std::string stop = partition_key(kRecordKey, partition.topic_number, partition.number + 1);
    const ::rocksdb::Slice upper = stop;
    ::rocksdb::ReadOptions read_options;
    read_options.iterate_upper_bound = &upper;
    const std::unique_ptr<::rocksdb::Iterator> rows(database->NewIterator(read_options));
    const std::string end = record_key(partition.topic_number, partition.number, partition.end);
    if (partition.begin < partition.end) {
      const std::string last = record_key(partition.topic_number, partition.number, partition.end - 1);
      rows->Seek(last);
      if (!rows->status().ok()) return failed("recover", rows->status());
      if (!rows->Valid() || rows->key() != slice(last))
        return damaged(fmt::format("record {} of {} is missing", partition.end - 1, partition.name));
    }
    rows->Seek(end);
    if (!rows->status().ok()) return failed("recover", rows->status());
    if (!rows->Valid()) return {};
    spdlog::info("event log: {}: removes what failed appends left beyond offset {}", partition.name,
                 partition.end);
    ::rocksdb::WriteBatch batch;
    batch.DeleteRange(end, stop);
    return write(batch, "remove what failed appends left");
  }

 public:
  Topic& add_topic(std::uint32_t number, ports::TopicInfo info) {
    auto topic = std::make_unique<Topic>();
    topic->number = number;
    for (std::int32_t i = 0; i < info.partitions; ++i) {
      auto partition = std::make_unique<Partition>();
      partition->topic_number = number;
      partition->number = i;
      partition->name = fmt::format("{}/{}", info.topic, i);
      topic->partitions.push_back(std::move(partition));
    }
    topic->info = std::move(info);
    next_topic_number = std::max(next_topic_number, number + 1);
    Topic& added = *topic;
    topics[added.info.topic] = std::move(topic);
    return added;
  }
};

namespace {

/// Inside of [begin, end] of a partition whose mutex is held. Errors: kInvalid.
Result<void> check_position(const Partition& partition, std::int64_t offset) {
  if (offset >= partition.begin && offset <= partition.end) return {};
  return base::invalid(fmt::format("offset {} of {} lies outside of the log, which holds [{}, {})", offset,
                                   partition.name, partition.begin, partition.end));
}

}  // namespace

class RocksdbEventLog::Member final : public ports::GroupMember {
 public:
  Member(Impl& log, std::int32_t partitions, GroupKey key)
      : log_(log), groups_(log.groups), partitions_(partitions), key_(std::move(key)) {
    const std::lock_guard lock(groups_->mutex);
    groups_->groups[key_].members.push_back(this);
  }
  ~Member() override {
    const std::lock_guard lock(groups_->mutex);
    Group& group = groups_->groups[key_];
    std::erase(group.members, this);
    if (group.owner == this) group.owner = nullptr;
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  Result<std::vector<ports::Assignment>> assignments(Deadline) override {
    const std::lock_guard lock(groups_->mutex);
    Group& group = groups_->groups[key_];
    if (group.members.front() != this) return std::vector<ports::Assignment>{};
    if (group.owner != this) {
      std::string generation;
      append_big_endian_64(generation, static_cast<std::uint64_t>(group.generation + 1));
      ::rocksdb::WriteBatch batch;
      batch.Put(group_key(kGenerationKey, key_), generation);
      // A number that was written in vain is given again, to this same take-over: nobody has seen it.
      MILLRACE_TRY(log_.write(batch, fmt::format("group {} takes over {}", key_.first, key_.second)));
      group.owner = this;
      ++group.generation;
    }
    std::vector<ports::Assignment> mine;
    for (std::int32_t i = 0; i < partitions_; ++i) mine.push_back({{key_.second, i}, group.generation});
    return mine;
  }

  Result<void> commit(const ports::Assignment& assignment, const ports::CommittedOffset& offset,
                      Deadline) override {
    if (offset.metadata.size() > ports::kCommitMetadataBytesMax)
      return base::invalid(fmt::format("commit metadata has {} bytes; at most {}", offset.metadata.size(),
                                       ports::kCommitMetadataBytesMax));
    if (offset.offset < 0) return base::invalid(fmt::format("offset {} cannot be committed", offset.offset));
    const std::lock_guard lock(groups_->mutex);
    const Group& group = groups_->groups[key_];
    const TopicPartition& partition = assignment.partition;
    const bool known =
        partition.topic == key_.second && partition.partition >= 0 && partition.partition < partitions_;
    if (!known || group.owner != this || assignment.generation != group.generation)
      return base::conflict(
          fmt::format("partition {}/{} is not this member's under generation {}; ask for assignments again",
                      partition.topic, partition.partition, assignment.generation));
    std::string value;
    append_big_endian_64(value, static_cast<std::uint64_t>(offset.offset));
    value += offset.metadata;
    ::rocksdb::WriteBatch batch;
    batch.Put(commit_key(key_.first, partition), value);
    MILLRACE_TRY(log_.write(batch, fmt::format("commit of group {}", key_.first)));
    groups_->committed[{key_.first, partition}] = offset;
    return {};
  }

 private:
  Impl& log_;
  std::shared_ptr<Groups> groups_;
  const std::int32_t partitions_;
  const GroupKey key_;
};

RocksdbEventLog::RocksdbEventLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksdbEventLog::~RocksdbEventLog() = default;

Result<std::unique_ptr<RocksdbEventLog>> RocksdbEventLog::open(const Options& options) {
  std::error_code code;
  std::filesystem::create_directories(options.directory, code);
  if (code)
    return base::fatal(
        fmt::format("event log: cannot make {}: {}", options.directory.string(), code.message()),
        code.value());
  MILLRACE_TRY_ASSIGN(DirectoryLock lock, DirectoryLock::take(options.directory));
  if (has_headless_remains(options.directory))
    return damaged(fmt::format("{} has lost its CURRENT file", options.directory.string()));
  ::rocksdb::DB* opened = nullptr;
  const auto status = ::rocksdb::DB::Open(database_options(options), options.directory.string(), &opened);
  std::unique_ptr<::rocksdb::DB> database(opened);
  if (!status.ok())
    return base::fatal(
        fmt::format(
            "event log: cannot open {}: {}; free the disk if it is full, else restore the directory, or "
            "start with an empty one and rebuild",
            options.directory.string(), status.ToString()),
        static_cast<int>(status.code()));
  auto impl = std::make_unique<Impl>(options, std::move(lock), std::move(database));
  if (auto loaded = impl->load(); !loaded)
    return base::with_context(options.directory.string(), std::move(loaded).error());
  return std::unique_ptr<RocksdbEventLog>(new RocksdbEventLog(std::move(impl)));
}

Result<ports::TopicInfo> RocksdbEventLog::ensure_topic(const std::string& name, std::int32_t partitions,
                                                       Deadline) {
  MILLRACE_TRY(ports::check_topic(name, partitions));
  MILLRACE_TRY(impl_->open_again_if_needed());
  const auto used = impl_->use();
  const std::unique_lock lock(impl_->topics_mutex);
  if (const auto topic = impl_->topics.find(name); topic != impl_->topics.end()) {
    const ports::TopicInfo& info = topic->second->info;
    if (info.partitions != partitions)
      return base::conflict(
          fmt::format("topic {} has {} partitions, not {}", name, info.partitions, partitions));
    return info;
  }
  const std::uint32_t number = impl_->next_topic_number;
  // Random bits are all that a topic id needs; no clock is asked.
  ports::TopicInfo info{name, partitions, base::uuid_v7({})};
  std::string value;
  append_big_endian_32(value, number);
  append_big_endian_32(value, static_cast<std::uint32_t>(partitions));
  value += info.topic_id;
  ::rocksdb::WriteBatch batch;
  batch.Put(topic_key(name), value);
  MILLRACE_TRY(impl_->write_used(batch, fmt::format("make topic {}", name)));
  return impl_->add_topic(number, std::move(info)).info;
}

Result<ports::TopicInfo> RocksdbEventLog::describe_topic(const std::string& name, Deadline) {
  const std::shared_lock lock(impl_->topics_mutex);
  const auto topic = impl_->topics.find(name);
  if (topic == impl_->topics.end())
    return base::not_found(fmt::format("there is no topic '{}'", base::printable(name, 80)));
  return topic->second->info;
}

Result<std::vector<ports::TopicInfo>> RocksdbEventLog::list_topics(Deadline) {
  const std::shared_lock lock(impl_->topics_mutex);
  std::vector<ports::TopicInfo> topics;
  for (const auto& [name, topic] : impl_->topics) topics.push_back(topic->info);
  return topics;
}

std::size_t RocksdbEventLog::record_bytes_max() const {
  return impl_->options.record_bytes_max;
}

Result<std::int64_t> RocksdbEventLog::append(const TopicPartition& where,
                                             std::span<const ports::NewRecord> records, Deadline deadline) {
  for (const ports::NewRecord& record : records)
    if (const std::size_t bytes = ports::bytes_of(record); bytes > impl_->options.record_bytes_max)
      return base::rejected(fmt::format("a record of {} bytes is larger than record_bytes_max = {}", bytes,
                                        impl_->options.record_bytes_max));
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->find(where));
  MILLRACE_TRY_ASSIGN(const WriterTurn turn, WriterTurn::take(*partition, deadline));
  std::int64_t begin = 0;
  std::int64_t first = 0;
  {
    const std::lock_guard lock(partition->mutex);
    begin = partition->begin;
    first = partition->end;
  }
  if (records.empty()) return first;

  ::rocksdb::WriteBatch batch;
  std::string value;
  std::int64_t offset = first;
  for (const ports::NewRecord& record : records) {
    value.clear();
    encode_record(value, record);
    batch.Put(record_key(partition->topic_number, partition->number, offset++), value);
  }
  batch.Put(partition_key(kRangeKey, partition->topic_number, partition->number), range_value(begin, offset));
  MILLRACE_TRY(impl_->open_again_if_needed());
  {
    // Until the end is known here too: opening again removes what lies beyond it.
    const auto used = impl_->use();
    MILLRACE_TRY(impl_->write_used(batch, fmt::format("append to {}", partition->name)));
    const std::lock_guard lock(partition->mutex);
    partition->end = offset;
  }
  partition->appended.notify_all();
  impl_->notify();
  return first;
}

Result<std::vector<ports::Record>> RocksdbEventLog::read(const TopicPartition& where, std::int64_t offset,
                                                         ports::ReadLimit limit, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->find(where));
  std::int64_t end = 0;
  {
    std::unique_lock lock(partition->mutex);
    partition->appended.wait_until(lock, deadline.moment(), [&] { return offset != partition->end; });
    MILLRACE_TRY(check_position(*partition, offset));
    end = partition->end;
  }
  if (offset == end) return std::vector<ports::Record>{};
  MILLRACE_TRY_ASSIGN(std::vector<ports::Record> records, impl_->fetch(*partition, offset, end, limit));
  if (records.empty()) {
    // Trimmed in between, or gone.
    const std::lock_guard lock(partition->mutex);
    MILLRACE_TRY(check_position(*partition, offset));
    return damaged(fmt::format("record {} of {} is missing", offset, partition->name));
  }
  return records;
}

Result<bool> RocksdbEventLog::wait_any(std::span<const ports::LogPosition> positions, Deadline deadline) {
  std::vector<std::pair<Partition*, std::int64_t>> wanted;
  wanted.reserve(positions.size());
  for (const ports::LogPosition& position : positions) {
    MILLRACE_TRY_ASSIGN(Partition * partition, impl_->find(position.partition));
    wanted.emplace_back(partition, position.offset);
  }
  std::unique_lock lock(impl_->appends_mutex);
  for (;;) {
    const std::uint64_t seen = impl_->appends;
    const bool late = deadline.passed();
    lock.unlock();
    for (const auto& [partition, offset] : wanted) {
      const std::lock_guard partition_lock(partition->mutex);
      if (partition->end > offset) return true;
    }
    if (late) return false;
    lock.lock();
    impl_->appended_anywhere.wait_until(lock, deadline.moment(), [&] { return impl_->appends != seen; });
  }
}

Result<std::vector<ports::Record>> RocksdbEventLog::read_before(const TopicPartition& where,
                                                                std::int64_t position, std::size_t count,
                                                                Deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->find(where));
  for (;;) {
    std::int64_t begin = 0;
    std::int64_t from = 0;
    {
      const std::lock_guard lock(partition->mutex);
      MILLRACE_TRY(check_position(*partition, position));
      begin = partition->begin;
      const auto room = static_cast<std::size_t>(position - begin);
      from = position - static_cast<std::int64_t>(std::min(count, room));
    }
    if (from == position) return std::vector<ports::Record>{};
    constexpr ports::ReadLimit kAll{std::numeric_limits<std::size_t>::max(),
                                    std::numeric_limits<std::size_t>::max()};
    MILLRACE_TRY_ASSIGN(std::vector<ports::Record> records, impl_->fetch(*partition, from, position, kAll));
    if (records.size() == static_cast<std::size_t>(position - from)) return records;
    const std::lock_guard lock(partition->mutex);
    // A trim in between is tried again with what is left.
    if (partition->begin == begin)
      return damaged(fmt::format("record {} of {} is missing",
                                 from + static_cast<std::int64_t>(records.size()), partition->name));
  }
}

Result<ports::OffsetRange> RocksdbEventLog::offsets(const TopicPartition& where, Deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->find(where));
  const std::lock_guard lock(partition->mutex);
  return ports::OffsetRange{partition->begin, partition->end};
}

Result<void> RocksdbEventLog::trim(const TopicPartition& where, std::int64_t offset, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(Partition * partition, impl_->find(where));
  MILLRACE_TRY_ASSIGN(const WriterTurn turn, WriterTurn::take(*partition, deadline));
  std::int64_t begin = 0;
  std::int64_t end = 0;
  {
    const std::lock_guard lock(partition->mutex);
    end = partition->end;
    begin = std::clamp(offset, partition->begin, end);
    // Before the records go, so that a reader that misses one finds out why.
    partition->begin = begin;
  }
  partition->appended.notify_all();
  const std::string first = record_key(partition->topic_number, partition->number, 0);
  const std::string stop = record_key(partition->topic_number, partition->number, begin);
  ::rocksdb::WriteBatch batch;
  batch.DeleteRange(first, stop);
  batch.Put(partition_key(kRangeKey, partition->topic_number, partition->number), range_value(begin, end));
  MILLRACE_TRY(impl_->open_again_if_needed());
  const auto used = impl_->use();
  MILLRACE_TRY(impl_->write_used(batch, fmt::format("trim {}", partition->name)));
  // Whole files go at once; what shares a file with later records goes when it is compacted.
  const ::rocksdb::Slice from = first;
  const ::rocksdb::Slice to = stop;
  const auto removed = ::rocksdb::DeleteFilesInRange(
      impl_->database.get(), impl_->database->DefaultColumnFamily(), &from, &to, false);
  if (!removed.ok())
    spdlog::warn("event log: trimmed files of {} stay for now: {}", partition->name, removed.ToString());
  return {};
}

Result<std::unique_ptr<ports::GroupMember>> RocksdbEventLog::join(const std::string& group,
                                                                  const std::string& name, Deadline) {
  if (group.empty() || group.size() > kGroupLengthMax)
    return base::invalid(fmt::format("a consumer group needs a name of 1 to {} bytes", kGroupLengthMax));
  std::int32_t partitions = 0;
  {
    const std::shared_lock lock(impl_->topics_mutex);
    const auto topic = impl_->topics.find(name);
    if (topic == impl_->topics.end())
      return base::not_found(fmt::format("there is no topic '{}'", base::printable(name, 80)));
    partitions = topic->second->info.partitions;
  }
  return std::make_unique<Member>(*impl_, partitions, GroupKey(group, name));
}

Result<std::optional<ports::CommittedOffset>> RocksdbEventLog::committed(const std::string& group,
                                                                         const TopicPartition& partition,
                                                                         Deadline) {
  const std::lock_guard lock(impl_->groups->mutex);
  const auto found = impl_->groups->committed.find({group, partition});
  if (found == impl_->groups->committed.end()) return std::optional<ports::CommittedOffset>();
  return std::optional(found->second);
}

Result<std::vector<ports::GroupOffset>> RocksdbEventLog::list_group_offsets(Deadline) {
  const std::lock_guard lock(impl_->groups->mutex);
  std::vector<ports::GroupOffset> offsets;
  for (const auto& [where, committed] : impl_->groups->committed)
    offsets.push_back({where.first, where.second, committed});
  return offsets;
}

std::unique_ptr<ports::LogInspector> RocksdbEventLog::inspector() {
  const auto joined = [groups = impl_->groups] {
    std::vector<ports::JoinedMember> members;
    const std::lock_guard lock(groups->mutex);
    for (const auto& [key, group] : groups->groups)
      for (const ports::GroupMember* const member : group.members)
        members.push_back({key.first, key.second, member == group.owner});
    return members;
  };
  return std::make_unique<ports::OneProcessInspector>(
      *this, joined,
      std::vector<ports::TopicSetting>{
          {"fsync", impl_->options.fsync ? "true" : "false"},
          {"record.bytes.max", std::to_string(impl_->options.record_bytes_max)}});
}

}  // namespace millrace::adapters::rocksdb
