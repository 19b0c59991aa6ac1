#include "adapters/rocksdb/rocksdb_event_log.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/rocksdb/record_codec.h"
#include "contract/event_log_contract.h"
#include "support/temporary_directory.h"

extern char** environ;

namespace {
std::atomic<int> sync_error = 0;   // what every sync fails with; 0: none does
std::atomic<int> write_error = 0;  // what every write to a file fails with
std::atomic<int> syncs = 0;        // how many there were
std::atomic<bool> hold_syncs = false;
std::atomic<int> held_syncs = 0;  // how many are held just now
}  // namespace

// RocksDB's calls come here first: the disk of a test can fail while a log is open.
extern "C" int fdatasync(int file) {
  static const auto next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
  ++syncs;
  ++held_syncs;
  hold_syncs.wait(true);
  --held_syncs;
  if (sync_error == 0) return next(file);
  errno = sync_error;
  return -1;
}
extern "C" ssize_t write(int file, const void* bytes, std::size_t size) {
  static const auto next =
      reinterpret_cast<ssize_t (*)(int, const void*, std::size_t)>(::dlsym(RTLD_NEXT, "write"));
  if (write_error == 0 || file <= STDERR_FILENO) return next(file, bytes, size);
  errno = write_error;
  return -1;
}

namespace millrace::adapters::rocksdb {
namespace {

using base::Deadline;
using base::ErrorKind;
using contract::EventLogContract;
using ports::NewRecord;
using ports::TopicPartition;
using support::TemporaryDirectory;

constexpr ports::ReadLimit kMany{1'000'000, std::size_t{1} << 30u};

Deadline soon() {
  return Deadline::in(std::chrono::seconds(30));
}

Options options_for(const std::filesystem::path& directory) {
  Options options;
  options.directory = directory;
  options.record_bytes_max = std::size_t{1} << 20u;
  return options;
}

std::unique_ptr<RocksdbEventLog> open_log(const std::filesystem::path& directory) {
  auto log = RocksdbEventLog::open(options_for(directory));
  if (!log) throw std::runtime_error(log.error().message);
  return std::move(*log);
}

class World final : public contract::EventLogWorld {
 public:
  ports::EventLog& log() override { return *log_; }
  ports::LogInspector& inspector() override { return *inspector_; }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<RocksdbEventLog> log_ = open_log(directory_.path() / "log");
  std::unique_ptr<ports::LogInspector> inspector_ = log_->inspector();
};

INSTANTIATE_TEST_SUITE_P(Rocksdb, EventLogContract,
                         testing::Values(contract::EventLogKind{"rocksdb",
                                                                [] { return std::make_unique<World>(); }}),
                         testing::PrintToStringParamName());

std::vector<NewRecord> records_with(const std::vector<std::string>& values) {
  std::vector<NewRecord> records;
  for (const std::string& value : values)
    records.push_back({"key", value, {{"name", "header"}}, base::utc_from_ms(42)});
  return records;
}

std::vector<std::string> values_of(RocksdbEventLog& log, const TopicPartition& partition,
                                   std::int64_t from = 0) {
  std::vector<std::string> values;
  const auto records = log.read(partition, from, kMany, Deadline::in(std::chrono::milliseconds(0)));
  if (!records) throw std::runtime_error(records.error().message);
  for (std::size_t i = 0; i < records->size(); ++i) {
    EXPECT_EQ((*records)[i].offset, from + static_cast<std::int64_t>(i));
    values.push_back((*records)[i].value);
  }
  return values;
}

TEST(RocksdbEventLog, HasAllThatWasAcknowledgedAfterReopening) {
  const TemporaryDirectory directory;
  const TopicPartition partition{"topic", 1};
  std::string topic_id;
  std::int64_t generation = 0;
  {
    const auto log = open_log(directory.path());
    topic_id = log->ensure_topic("topic", 2, soon())->topic_id;
    ASSERT_TRUE(log->append(partition, records_with({"0", "1", "2", "3"}), soon()).has_value());
    ASSERT_TRUE(log->delete_records(partition, 1, soon()).has_value());
    const auto member = *log->join("group", "topic", soon());
    const auto mine = *member->assignments(soon());
    generation = mine.at(1).generation;
    ASSERT_TRUE(member->commit(mine.at(1), {3, "window"}, soon()).has_value());
  }
  const auto log = open_log(directory.path());
  EXPECT_EQ(log->describe_topic("topic", soon())->topic_id, topic_id);
  EXPECT_EQ(log->ensure_topic("topic", 3, soon()).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(log->offsets(partition, soon())->begin, 1);
  EXPECT_EQ(log->offsets(partition, soon())->end, 4);
  EXPECT_EQ(log->read(partition, 0, kMany, soon()).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(values_of(*log, partition, 1), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(log->read(partition, 1, kMany, soon())->at(0).header("name"), "header");
  EXPECT_EQ((*log->committed("group", partition, soon()))->offset, 3);
  EXPECT_EQ((*log->committed("group", partition, soon()))->metadata, "window");
  EXPECT_EQ(*log->append(partition, records_with({"4"}), soon()), 4);
  const auto member = *log->join("group", "topic", soon());
  EXPECT_GT(member->assignments(soon())->at(0).generation, generation);
}

TEST(RocksdbEventLog, MeasuresItsSyncs) {
  telemetry::Registry registry;
  const support::TemporaryDirectory directory;
  Options options;
  options.directory = directory.path();
  options.fsync_duration = registry.histogram("millrace_log_fsync_duration_seconds");
  const auto log = RocksdbEventLog::open(options);
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_TRUE((*log)->ensure_topic("topic", 1, soon()));
  const ports::NewRecord record{"key", "value", {}, base::utc_from_ms(1)};
  const auto count = [&] {
    const std::string text = registry.text();
    const std::string name = "\nmillrace_log_fsync_duration_seconds_count ";
    const auto at = text.find(name);
    return at == std::string::npos ? -1 : std::stol(text.substr(at + name.size()));
  };
  const long before = count();
  ASSERT_TRUE((*log)->append({"topic", 0}, {&record, 1}, soon()));
  EXPECT_GT(count(), before);
}

TEST(RocksdbEventLog, GivesATopicOfTheSameNameInAnEmptyDirectoryAnotherId) {
  const TemporaryDirectory one;
  const TemporaryDirectory two;
  EXPECT_NE(open_log(one.path())->ensure_topic("topic", 1, soon())->topic_id,
            open_log(two.path())->ensure_topic("topic", 1, soon())->topic_id);
}

TEST(RocksdbEventLog, KeepsOffsetsRisingAfterEverythingWasTrimmed) {
  const TemporaryDirectory directory;
  const TopicPartition partition{"topic", 0};
  {
    const auto log = open_log(directory.path());
    ASSERT_TRUE(log->ensure_topic("topic", 1, soon()).has_value());
    ASSERT_TRUE(log->append(partition, records_with({"0", "1"}), soon()).has_value());
    ASSERT_TRUE(log->delete_records(partition, 2, soon()).has_value());
  }
  const auto log = open_log(directory.path());
  EXPECT_EQ(log->offsets(partition, soon())->begin, 2);
  EXPECT_EQ(*log->append(partition, records_with({"2"}), soon()), 2);
  EXPECT_EQ(values_of(*log, partition, 2), (std::vector<std::string>{"2"}));
}

TEST(RocksdbEventLog, LetsAMemberLeaveAfterTheLogIsGone) {
  const TemporaryDirectory directory;
  std::unique_ptr<ports::GroupMember> member;
  {
    const auto log = open_log(directory.path());
    ASSERT_TRUE(log->ensure_topic("topic", 1, soon()).has_value());
    member = *log->join("group", "topic", soon());
  }
  member.reset();
  EXPECT_TRUE(RocksdbEventLog::open(options_for(directory.path())).has_value());
}

TEST(RocksdbEventLog, RemovesWhatAFailedAppendLeftBeyondTheEnd) {
  const TemporaryDirectory directory;
  const TopicPartition partition{"topic", 0};
  {
    const auto log = open_log(directory.path());
    ASSERT_TRUE(log->ensure_topic("topic", 1, soon()).has_value());
    ASSERT_TRUE(log->append(partition, records_with({"0"}), soon()).has_value());
  }
  {
    // What a failed append of three records leaves when a later one of a single record took its first offset.
    ::rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(::rocksdb::DB::Open({}, directory.path().string(), &opened).ok());
    const std::unique_ptr<::rocksdb::DB> database(opened);
    for (const std::uint64_t offset : {1u, 2u}) {
      std::string key = "r";
      append_big_endian_32(key, 0);
      append_big_endian_32(key, 0);
      append_big_endian_64(key, offset);
      std::string value;
      encode_record(value, {"key", "ghost", {}, {}});
      ASSERT_TRUE(database->Put({}, key, value).ok());
    }
  }
  for (int round = 0; round < 2; ++round) {
    const auto log = open_log(directory.path());
    EXPECT_EQ(log->offsets(partition, soon())->end, 1 + round);
    ASSERT_TRUE(log->append(partition, records_with({"later"}), soon()).has_value());
  }
  EXPECT_EQ(values_of(*open_log(directory.path()), partition),
            (std::vector<std::string>{"0", "later", "later"}));
}

/// A disk that fails while the log is open, and works again later: what the call is and what it fails with.
struct FailingDisk {
  const char* name;
  std::atomic<int>* call;
  int error;
};

class RocksdbEventLogOn : public testing::TestWithParam<FailingDisk> {
 protected:
  ~RocksdbEventLogOn() override { *GetParam().call = 0; }
};

TEST_P(RocksdbEventLogOn, GoesOnByItselfWhenTheDiskDoes) {
  const TemporaryDirectory directory;
  const TopicPartition partition{"topic", 0};
  std::vector<std::string> acknowledged = {"first"};
  {
    const auto log = open_log(directory.path());
    ASSERT_TRUE(log->ensure_topic("topic", 2, soon()).has_value());
    ASSERT_TRUE(log->append(partition, records_with({"first"}), soon()).has_value());
    const auto member = *log->join("group", "topic", soon());
    const auto mine = *member->assignments(soon());

    *GetParam().call = GetParam().error;
    for (int attempt = 0; attempt < 5; ++attempt) {
      const auto failed = log->append(partition, records_with({"ghost", "ghost"}), soon());
      ASSERT_FALSE(failed.has_value());
      EXPECT_EQ(failed.error().kind, ErrorKind::kUnavailable) << failed.error().message;
      const auto uncommitted = member->commit(mine.at(0), {1, ""}, soon());
      EXPECT_TRUE(uncommitted.has_value() || uncommitted.error().kind == ErrorKind::kUnavailable);
    }
    EXPECT_EQ(log->offsets(partition, soon())->end, 1);

    *GetParam().call = 0;
    const Deadline deadline = soon();
    while (!log->append(partition, records_with({"second"}), soon())) {
      ASSERT_FALSE(deadline.passed()) << "the log does not go on";
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    acknowledged.emplace_back("second");
    EXPECT_EQ(values_of(*log, partition), acknowledged);
    ASSERT_TRUE(log->append({"topic", 1}, records_with({"elsewhere"}), soon()).has_value());
    ASSERT_TRUE(member->commit(mine.at(0), {2, "window"}, soon()).has_value());
    ASSERT_TRUE(log->ensure_topic("other", 1, soon()).has_value());
  }
  const auto log = open_log(directory.path());
  EXPECT_EQ(values_of(*log, partition), acknowledged);
  EXPECT_EQ(values_of(*log, {"topic", 1}), (std::vector<std::string>{"elsewhere"}));
  EXPECT_EQ((*log->committed("group", partition, soon()))->offset, 2);
}

TEST_P(RocksdbEventLogOn, EndsInOrderWhileTheDiskFails) {
  const TemporaryDirectory directory;
  const TopicPartition partition{"topic", 0};
  {
    const auto log = open_log(directory.path());
    ASSERT_TRUE(log->ensure_topic("topic", 1, soon()).has_value());
    ASSERT_TRUE(log->append(partition, records_with({"first"}), soon()).has_value());
    *GetParam().call = GetParam().error;
    for (int attempt = 0; attempt < 3; ++attempt)
      EXPECT_FALSE(log->append(partition, records_with({"ghost"}), soon()).has_value());
  }
  *GetParam().call = 0;
  // What failed may have reached the disk; whether it did or not, what was acknowledged comes first.
  EXPECT_EQ(values_of(*open_log(directory.path()), partition).at(0), "first");
}

INSTANTIATE_TEST_SUITE_P(Disks, RocksdbEventLogOn,
                         testing::Values(FailingDisk{"sync_fails", &sync_error, EIO},
                                         FailingDisk{"read_only", &write_error, EROFS},
                                         FailingDisk{"full", &write_error, ENOSPC},
                                         FailingDisk{"write_fails", &write_error, EIO}),
                         [](const auto& disk) { return std::string(disk.param.name); });

// Syncs

TEST(RocksdbEventLog, SyncsOnceForAnAppendToAllPartitions) {
  const TemporaryDirectory directory;
  const auto log = open_log(directory.path());
  ASSERT_TRUE(log->ensure_topic("topic", 6, soon()).has_value());
  ASSERT_TRUE(log->ensure_topic("other", 1, soon()).has_value());
  std::vector<ports::PartitionRecords> batches = {{{"other", 0}, records_with({"x"})}};
  for (const std::int32_t partition : {5, 0, 3, 1, 4, 2, 0})
    batches.push_back({{"topic", partition}, records_with({"a", "b"})});
  const int before = syncs;
  EXPECT_TRUE((*log->start_append(batches, soon()))->wait(soon()).value());
  EXPECT_EQ(syncs - before, 1);
  EXPECT_EQ(values_of(*log, {"topic", 0}), (std::vector<std::string>{"a", "b", "a", "b"}));
  EXPECT_EQ(values_of(*log, {"topic", 5}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(values_of(*log, {"other", 0}), (std::vector<std::string>{"x"}));
}

TEST(RocksdbEventLog, SyncsOnceForACommitOfAllPartitions) {
  const TemporaryDirectory directory;
  const auto log = open_log(directory.path());
  ASSERT_TRUE(log->ensure_topic("topic", 6, soon()).has_value());
  const auto member = *log->join("group", "topic", soon());
  std::vector<ports::AssignmentCommit> commits;
  const auto mine = *member->assignments(soon());
  for (const ports::Assignment& assignment : mine) commits.push_back({assignment, {5, ""}});
  const int before = syncs;
  ASSERT_TRUE(member->commit_all(commits, soon()).has_value());
  EXPECT_EQ(syncs - before, 1);
  EXPECT_EQ(log->list_group_offsets(soon())->size(), 6u);
}

TEST(RocksdbEventLog, AppendsNothingToAnyPartitionWhenOneOfThemIsNotThereOrARecordIsTooLarge) {
  const TemporaryDirectory directory;
  const auto log = open_log(directory.path());
  ASSERT_TRUE(log->ensure_topic("topic", 2, soon()).has_value());
  const auto start = [&](std::int32_t partition, std::size_t bytes) {
    return log->start_append(
        std::vector<ports::PartitionRecords>{{{"topic", 0}, records_with({"first"})},
                                             {{"topic", partition}, records_with({std::string(bytes, 'x')})}},
        soon());
  };
  EXPECT_EQ(start(2, 1).error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(start(1, std::size_t{1} << 20u).error().kind, ErrorKind::kRejected);
  EXPECT_EQ(log->offsets({"topic", 0}, soon())->end, 0);
}

TEST(RocksdbEventLog, TakesCrossedAppendsToSeveralPartitionsOfManyThreads) {
  const TemporaryDirectory directory;
  const auto log = open_log(directory.path());
  ASSERT_TRUE(log->ensure_topic("topic", 2, soon()).has_value());
  constexpr int kAppendsEach = 50;
  {
    std::vector<std::jthread> threads;
    for (const std::int32_t first : {0, 1, 0, 1})
      threads.emplace_back([&log, first] {
        for (int i = 0; i < kAppendsEach; ++i)
          EXPECT_TRUE(
              log->start_append(
                     std::vector<ports::PartitionRecords>{{{"topic", first}, records_with({"a"})},
                                                          {{"topic", 1 - first}, records_with({"b"})}},
                     soon())
                  .has_value());
      });
  }
  for (const std::int32_t partition : {0, 1})
    EXPECT_EQ(values_of(*log, {"topic", partition}).size(), std::size_t{4 * kAppendsEach});
}

/// While it lives, no sync ends.
class HeldSyncs {
 public:
  HeldSyncs() { hold_syncs = true; }
  ~HeldSyncs() {
    hold_syncs = false;
    hold_syncs.notify_all();
  }
  HeldSyncs(const HeldSyncs&) = delete;
  HeldSyncs& operator=(const HeldSyncs&) = delete;
};

TEST(RocksdbEventLog, ShowsAssignmentsAndCommitsWhileACommitIsBeingSynced) {
  const TemporaryDirectory directory;
  const auto log = open_log(directory.path());
  ASSERT_TRUE(log->ensure_topic("topic", 1, soon()).has_value());
  const auto member = *log->join("group", "topic", soon());
  const auto other = *log->join("other", "topic", soon());
  const auto mine = *member->assignments(soon());
  ASSERT_EQ(other->assignments(soon())->size(), 1u);
  std::future<base::Result<void>> commit;
  std::future<std::size_t> looked;
  {
    const HeldSyncs held;
    commit = std::async(std::launch::async, [&] { return member->commit(mine.at(0), {7, ""}, soon()); });
    while (held_syncs == 0) std::this_thread::yield();
    looked = std::async(std::launch::async, [&] {
      EXPECT_FALSE(log->committed("group", {"topic", 0}, soon())->has_value());
      EXPECT_TRUE(log->list_group_offsets(soon())->empty());
      const auto standing_by = *log->join("group", "topic", soon());
      EXPECT_TRUE(standing_by->assignments(soon())->empty());
      return other->assignments(soon())->size();
    });
    EXPECT_EQ(looked.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  EXPECT_EQ(looked.get(), 1u);
  EXPECT_TRUE(commit.get().has_value());
  EXPECT_EQ((*log->committed("group", {"topic", 0}, soon()))->offset, 7);
}

// Directories

TEST(RocksdbEventLog, RefusesADirectoryThatIsOpenAlready) {
  const TemporaryDirectory directory;
  const auto log = open_log(directory.path());
  const auto second = RocksdbEventLog::open(options_for(directory.path()));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, ErrorKind::kConflict);
  EXPECT_NE(second.error().message.find("in use by process " + std::to_string(::getpid())), std::string::npos)
      << second.error().message;
}

TEST(RocksdbEventLog, RefusesAFormatOfAnotherVersion) {
  const TemporaryDirectory directory;
  open_log(directory.path()).reset();
  {
    ::rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(::rocksdb::DB::Open({}, directory.path().string(), &opened).ok());
    const std::unique_ptr<::rocksdb::DB> database(opened);
    ASSERT_TRUE(database->Put({}, "!", "millrace event log 2").ok());
  }
  const auto log = RocksdbEventLog::open(options_for(directory.path()));
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().kind, ErrorKind::kFatal);
  EXPECT_NE(log.error().message.find("millrace event log 2"), std::string::npos) << log.error().message;
}

TEST(RocksdbEventLog, RefusesTheDatabaseOfAnotherProgram) {
  const TemporaryDirectory directory;
  {
    ::rocksdb::Options create;
    create.create_if_missing = true;
    ::rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(::rocksdb::DB::Open(create, directory.path().string(), &opened).ok());
    const std::unique_ptr<::rocksdb::DB> database(opened);
    ASSERT_TRUE(database->Put({}, "something", "else").ok());
  }
  const auto log = RocksdbEventLog::open(options_for(directory.path()));
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().kind, ErrorKind::kFatal);
}

class DamagedDirectory : public testing::Test {
 protected:
  DamagedDirectory() {
    const auto log = open_log(directory_.path());
    EXPECT_TRUE(log->ensure_topic("topic", 1, soon()).has_value());
    EXPECT_TRUE(log->append({"topic", 0}, records_with({std::string(100'000, 'x')}), soon()).has_value());
  }
  std::filesystem::path file(std::string_view prefix) {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      if (entry.path().filename().string().starts_with(prefix)) return entry.path();
    throw std::runtime_error("no such file");
  }
  void expect_fatal() {
    const auto log = RocksdbEventLog::open(options_for(directory_.path()));
    ASSERT_FALSE(log.has_value());
    EXPECT_EQ(log.error().kind, ErrorKind::kFatal) << log.error().message;
  }
  TemporaryDirectory directory_;
};

TEST_F(DamagedDirectory, IsRefusedWhenItsListOfFilesIsGarbage) {
  std::ofstream(file("MANIFEST-"), std::ios::binary | std::ios::trunc) << std::string(1'000, '!');
  expect_fatal();
}

TEST_F(DamagedDirectory, IsRefusedWhenItsCurrentFileIsMissing) {
  std::filesystem::remove(file("CURRENT"));
  expect_fatal();
}

TEST_F(DamagedDirectory, IsRefusedWhenAcknowledgedRecordsAreMissing) {
  // Opening writes what the write-ahead log held to a table; then the last record is taken away.
  open_log(directory_.path()).reset();
  {
    ::rocksdb::DB* opened = nullptr;
    ASSERT_TRUE(::rocksdb::DB::Open({}, directory_.path().string(), &opened).ok());
    const std::unique_ptr<::rocksdb::DB> database(opened);
    const std::unique_ptr<::rocksdb::Iterator> rows(database->NewIterator({}));
    rows->Seek("r");
    ASSERT_TRUE(rows->Valid());
    ASSERT_TRUE(database->Delete({}, rows->key()).ok());
  }
  expect_fatal();
}

TEST(RocksdbEventLog, SaysWhyADirectoryCannotBeMade) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "x";
  const auto log = RocksdbEventLog::open(options_for(directory.path() / "file" / "log"));
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().kind, ErrorKind::kFatal);
  EXPECT_NE(log.error().message.find("cannot make"), std::string::npos) << log.error().message;
}

// Other processes

/// This program again, with other arguments; its standard output comes back line by line.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    std::string program = "/proc/self/exe";
    std::vector<char*> argv = {program.data()};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int failed = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    output_ = ::fdopen(pipe[0], "r");
    if (failed != 0 || output_ == nullptr) throw std::runtime_error("the child did not start");
  }
  ~Child() {
    if (pid_ > 0) kill();
    std::fclose(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Nothing at the end of its output.
  std::optional<std::string> line() {
    std::array<char, 256> text{};
    if (std::fgets(text.data(), text.size(), output_) == nullptr) return std::nullopt;
    return std::string(text.data(), std::strcspn(text.data(), "\n"));
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  std::FILE* output_ = nullptr;
};

constexpr std::int32_t kCrashPartitions = 2;

/// The child: appends batches for ever, and says "partition first-offset count" after each acknowledgement.
int append_until_killed(const char* directory, const char* round) {
  const auto log = open_log(directory);
  if (!log->ensure_topic("topic", kCrashPartitions, soon())) return 1;
  std::vector<std::jthread> threads;
  for (std::int32_t p = 0; p < kCrashPartitions; ++p)
    threads.emplace_back([&log, p, round] {
      for (std::size_t batch = 0;; ++batch) {
        const std::int64_t first = log->offsets({"topic", p}, soon())->end;
        std::vector<std::string> values;
        for (std::size_t i = 0; i < batch % 7 + 1; ++i)
          values.push_back(std::string(round) + ":" + std::to_string(first + static_cast<std::int64_t>(i)) +
                           std::string(batch % 900, '.'));
        const auto appended = log->append({"topic", p}, records_with(values), soon());
        if (!appended || *appended != first) std::_Exit(1);
        const std::string line =
            std::to_string(p) + " " + std::to_string(first) + " " + std::to_string(values.size()) + "\n";
        if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(1);
      }
    });
  return 0;
}

/// The child: opens the directory, and says what came of it.
int try_to_open(const char* directory) {
  const auto log = RocksdbEventLog::open(options_for(directory));
  const std::string line =
      (log ? std::string("opened") : std::string(to_string(log.error().kind)) + ": " + log.error().message) +
      "\n";
  return ::write(STDOUT_FILENO, line.data(), line.size()) < 0 ? 1 : 0;
}

TEST(RocksdbEventLog, RefusesADirectoryThatAnotherProcessHolds) {
  const TemporaryDirectory directory;
  auto log = open_log(directory.path());
  {
    Child child({"--try-to-open", directory.path().string()});
    const std::string line = child.line().value_or("");
    EXPECT_TRUE(line.starts_with("conflict: ")) << line;
    EXPECT_NE(line.find("in use by process " + std::to_string(::getpid())), std::string::npos) << line;
  }
  log.reset();
  Child child({"--try-to-open", directory.path().string()});
  EXPECT_EQ(child.line(), "opened");
}

TEST(RocksdbEventLog, HasEveryAcknowledgedRecordInOrderAfterKillsInTheMiddleOfAppends) {
  const TemporaryDirectory directory;
  std::array<std::vector<std::string>, kCrashPartitions> known;  // what a reader may have seen
  for (int round = 0; round < 6; ++round) {
    std::array<std::int64_t, kCrashPartitions> acknowledged{};
    {
      Child child({"--append-until-killed", directory.path().string(), std::to_string(round)});
      const auto take = [&](const std::string& line) {
        int partition = 0;
        std::int64_t first = 0;
        std::int64_t count = 0;
        ASSERT_EQ(std::sscanf(line.c_str(), "%d %ld %ld", &partition, &first, &count), 3) << line;
        acknowledged.at(static_cast<std::size_t>(partition)) = first + count;
      };
      for (int i = 0; i < 40 * (round + 1); ++i) {
        const auto line = child.line();
        ASSERT_TRUE(line.has_value());
        take(*line);
      }
      child.kill();
      while (const auto line = child.line()) take(*line);
    }
    const auto log = open_log(directory.path());
    for (std::size_t p = 0; p < kCrashPartitions; ++p) {
      const TopicPartition partition{"topic", static_cast<std::int32_t>(p)};
      const auto values = values_of(*log, partition);
      ASSERT_EQ(static_cast<std::int64_t>(values.size()), log->offsets(partition, soon())->end);
      ASSERT_GE(static_cast<std::int64_t>(values.size()), acknowledged[p]);
      ASSERT_GE(values.size(), known[p].size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string offset_and_filling = values[i].substr(values[i].find(':') + 1);
        ASSERT_EQ(offset_and_filling.substr(0, offset_and_filling.find('.')), std::to_string(i));
        if (i < known[p].size()) {
          ASSERT_EQ(values[i], known[p][i]) << "an offset was given to two records";
        }
      }
      known[p] = values;
    }
  }
  for (const auto& values : known) EXPECT_GT(values.size(), 100u);
}

// The codec

TEST(RecordCodec, RefusesEveryCutAndEveryOtherVersion) {
  std::string bytes;
  encode_record(bytes, {"key", "", {{"name", "value"}, {"n2", "v2"}}, base::utc_from_ms(-5)});
  const auto whole = decode_record(7, bytes);
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->offset, 7);
  EXPECT_EQ(whole->time, base::utc_from_ms(-5));
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_record(0, std::string_view(bytes).substr(0, length)).has_value()) << length;
  bytes[0] = 2;
  EXPECT_FALSE(decode_record(0, bytes).has_value());
}

TEST(RecordCodec, RefusesLengthsThatCannotBe) {
  std::string bytes(9, '\0');
  bytes[0] = 1;
  bytes += std::string(11, '\xff');
  EXPECT_FALSE(decode_record(0, bytes).has_value());
}

}  // namespace
}  // namespace millrace::adapters::rocksdb

int main(int count, char** arguments) {
  if (count == 4 && std::string_view(arguments[1]) == "--append-until-killed")
    return millrace::adapters::rocksdb::append_until_killed(arguments[2], arguments[3]);
  if (count == 3 && std::string_view(arguments[1]) == "--try-to-open")
    return millrace::adapters::rocksdb::try_to_open(arguments[2]);
  testing::InitGoogleTest(&count, arguments);
  return RUN_ALL_TESTS();
}
