#include "adapters/rocksdb/partition.h"

#include <algorithm>
#include <limits>
#include <memory>

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <spdlog/spdlog.h>

#include "adapters/rocksdb/keys.h"
#include "adapters/rocksdb/record_codec.h"

namespace millrace::adapters::rocksdb {
namespace {

using base::Deadline;
using base::Result;

// Of one write, so that an append is not far behind its deadline when it sees that it has passed.
constexpr std::size_t kWriteBytesMax = std::size_t{4} << 20u;

}  // namespace

Result<Partition::WriterTurn> Partition::WriterTurn::take(Partition& partition, Deadline deadline) {
  std::unique_lock lock(partition.mutex_);
  if (!partition.free_.wait_until(lock, deadline.moment(), [&] { return !partition.writing_; }))
    return base::unavailable(fmt::format("event log: {} is busy", partition.name_));
  partition.writing_ = true;
  return WriterTurn(partition);
}

Partition::WriterTurn::~WriterTurn() {
  if (partition_ == nullptr) return;
  {
    const std::lock_guard lock(partition_->mutex_);
    partition_->writing_ = false;
  }
  partition_->free_.notify_one();
}

ports::OffsetRange Partition::range() const {
  const std::lock_guard lock(mutex_);
  return range_;
}

void Partition::restore(ports::OffsetRange range) {
  const std::lock_guard lock(mutex_);
  range_ = range;
}

Result<void> Partition::check_position(std::int64_t offset) const {
  if (offset >= range_.begin && offset <= range_.end) return {};
  return base::invalid(fmt::format("offset {} of {} lies outside of the log, which holds [{}, {})", offset,
                                   name_, range_.begin, range_.end));
}

Result<std::vector<ports::Record>> Partition::fetch(std::int64_t from, std::int64_t end,
                                                    ports::ReadLimit limit) {
  return database_.read([&](::rocksdb::DB& database) -> Result<std::vector<ports::Record>> {
    std::vector<ports::Record> records;
    const std::string stop = record_key(topic_, number_, end);
    const ::rocksdb::Slice upper = stop;
    ::rocksdb::ReadOptions read_options;
    read_options.iterate_upper_bound = &upper;
    read_options.adaptive_readahead = true;
    const std::unique_ptr<::rocksdb::Iterator> rows(database.NewIterator(read_options));
    std::string wanted = record_key(topic_, number_, from);
    std::size_t bytes = 0;
    std::int64_t offset = from;
    for (rows->Seek(wanted); rows->Valid() && rows->key() == slice(wanted); rows->Next()) {
      auto record = decode_record(offset, view(rows->value()));
      if (!record) return damaged(fmt::format("record {} of {} cannot be read", offset, name_));
      bytes += ports::bytes_of(*record);
      if (!records.empty() && bytes > limit.bytes_max) break;
      records.push_back(std::move(*record));
      if (records.size() >= limit.records_max) break;
      wanted = record_key(topic_, number_, ++offset);
    }
    if (!rows->status().ok()) return failed(fmt::format("read {}", name_), rows->status());
    return records;
  });
}

Result<std::vector<ports::Record>> Partition::read(std::int64_t offset, ports::ReadLimit limit,
                                                   Deadline deadline) {
  std::int64_t end = 0;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline.moment(), [&] { return offset != range_.end; });
    MILLRACE_TRY(check_position(offset));
    end = range_.end;
  }
  if (offset == end) return std::vector<ports::Record>{};
  MILLRACE_TRY_ASSIGN(std::vector<ports::Record> records, fetch(offset, end, limit));
  if (records.empty()) {
    // Deleted in between, or gone.
    const std::lock_guard lock(mutex_);
    MILLRACE_TRY(check_position(offset));
    return damaged(fmt::format("record {} of {} is missing", offset, name_));
  }
  return records;
}

Result<std::vector<ports::Record>> Partition::read_before(std::int64_t position, std::size_t count) {
  for (;;) {
    std::int64_t begin = 0;
    std::int64_t from = 0;
    {
      const std::lock_guard lock(mutex_);
      MILLRACE_TRY(check_position(position));
      begin = range_.begin;
      const auto available = static_cast<std::size_t>(position - begin);
      from = position - static_cast<std::int64_t>(std::min(count, available));
    }
    if (from == position) return std::vector<ports::Record>{};
    constexpr ports::ReadLimit kAll{std::numeric_limits<std::size_t>::max(),
                                    std::numeric_limits<std::size_t>::max()};
    MILLRACE_TRY_ASSIGN(std::vector<ports::Record> records, fetch(from, position, kAll));
    if (records.size() == static_cast<std::size_t>(position - from)) return records;
    const std::lock_guard lock(mutex_);
    // A deletion in between is tried again with what is left.
    if (range_.begin == begin)
      return damaged(
          fmt::format("record {} of {} is missing", from + static_cast<std::int64_t>(records.size()), name_));
  }
}

Result<void> Partition::delete_records(std::int64_t offset, Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const WriterTurn turn, WriterTurn::take(*this, deadline));
  ports::OffsetRange left;
  {
    const std::lock_guard lock(mutex_);
    // Before the records go, so that a reader that misses one finds out why.
    range_.begin = std::clamp(offset, range_.begin, range_.end);
    left = range_;
  }
  changed_.notify_all();
  const std::string first = record_key(topic_, number_, 0);
  const std::string stop = record_key(topic_, number_, left.begin);
  ::rocksdb::WriteBatch batch;
  batch.DeleteRange(first, stop);
  batch.Put(range_key(topic_, number_), range_value(left));
  return database_.write(batch, fmt::format("delete records of {}", name_), [&](::rocksdb::DB& database) {
    // Whole files go at once; what shares a file with later records goes when it is compacted.
    const ::rocksdb::Slice from = first;
    const ::rocksdb::Slice to = stop;
    const auto removed =
        ::rocksdb::DeleteFilesInRange(&database, database.DefaultColumnFamily(), &from, &to, false);
    if (!removed.ok())
      spdlog::warn("event log: deleted files of {} stay for now: {}", name_, removed.ToString());
  });
}

/// Records beyond the end are of an append that failed before a later, shorter one took its offsets; they
/// must not come to light when the end grows over them.
Result<void> Partition::check_records() {
  const ports::OffsetRange range = this->range();
  const std::string stop = records_end_key(topic_, number_);
  const std::string end = record_key(topic_, number_, range.end);
  MILLRACE_TRY_ASSIGN(const bool has_more, database_.read([&](::rocksdb::DB& database) -> Result<bool> {
    const ::rocksdb::Slice upper = stop;
    ::rocksdb::ReadOptions read_options;
    read_options.iterate_upper_bound = &upper;
    const std::unique_ptr<::rocksdb::Iterator> rows(database.NewIterator(read_options));
    if (range.begin < range.end) {
      const std::string last = record_key(topic_, number_, range.end - 1);
      rows->Seek(last);
      if (!rows->status().ok()) return failed("recover", rows->status());
      if (!rows->Valid() || rows->key() != slice(last))
        return damaged(fmt::format("record {} of {} is missing", range.end - 1, name_));
    }
    rows->Seek(end);
    if (!rows->status().ok()) return failed("recover", rows->status());
    return rows->Valid();
  }));
  if (!has_more) return {};
  spdlog::info("event log: {}: removes what failed appends left beyond offset {}", name_, range.end);
  ::rocksdb::WriteBatch batch;
  batch.DeleteRange(end, stop);
  return database_.write(batch, "remove what failed appends left");
}

void Partition::add_repair(::rocksdb::WriteBatch& batch) const {
  const ports::OffsetRange range = this->range();
  batch.DeleteRange(record_key(topic_, number_, range.end), records_end_key(topic_, number_));
  batch.Put(range_key(topic_, number_), range_value(range));
}

void AppendTask::add(Partition& partition, std::span<const ports::NewRecord> records) {
  auto part = std::ranges::find(parts_, &partition, &Part::partition);
  if (part == parts_.end()) {
    parts_.push_back({.partition = &partition, .records = {}, .range = {}});
    part = std::prev(parts_.end());
  }
  part->records.push_back(records);
}

Result<void> AppendTask::run(Deadline deadline) {
  std::vector<Part*> in_order;
  for (Part& part : parts_) in_order.push_back(&part);
  // Whoever writes to several partitions takes their turns in the same order, so that nobody waits in a ring.
  std::ranges::sort(in_order, {}, [](const Part* part) {
    return std::pair(part->partition->topic_, part->partition->number_);
  });
  std::vector<Partition::WriterTurn> turns;
  turns.reserve(in_order.size());
  for (const Part* part : in_order) {
    MILLRACE_TRY_ASSIGN(auto turn, Partition::WriterTurn::take(*part->partition, deadline));
    turns.push_back(std::move(turn));
  }
  for (Part& part : parts_) {
    part.range = part.partition->range();
    part.first = part.range.end;
  }
  ::rocksdb::WriteBatch batch;
  std::string value;
  for (Part& part : parts_) {
    const Partition& partition = *part.partition;
    for (const auto& records : part.records)
      for (const ports::NewRecord& record : records) {
        value.clear();
        encode_record(value, record);
        if (batch.Count() > 0 && batch.GetDataSize() + value.size() > kWriteBytesMax) {
          MILLRACE_TRY(write(batch));
          if (deadline.passed())
            return base::unavailable(
                fmt::format("event log: an append to {} took too long", partition.name_));
        }
        batch.Put(record_key(partition.topic_, partition.number_, part.range.end++), value);
        part.is_in_batch = true;
      }
  }
  return batch.Count() > 0 ? write(batch) : Result<void>{};
}

/// Empties `batch`.
Result<void> AppendTask::write(::rocksdb::WriteBatch& batch) {
  std::vector<Part*> written;
  for (Part& part : parts_)
    if (std::exchange(part.is_in_batch, false)) written.push_back(&part);
  for (const Part* part : written)
    batch.Put(range_key(part->partition->topic_, part->partition->number_), range_value(part->range));
  const std::string doing = written.size() == 1
                                ? fmt::format("append to {}", written.front()->partition->name_)
                                : fmt::format("append to {} partitions", written.size());
  // The ends before the database may be opened again, which removes what lies beyond them.
  MILLRACE_TRY(database_.write(batch, doing, [&](::rocksdb::DB&) {
    for (const Part* part : written) {
      const std::lock_guard lock(part->partition->mutex_);
      part->partition->range_.end = part->range.end;
    }
  }));
  for (const Part* part : written) part->partition->changed_.notify_all();
  batch.Clear();
  return {};
}

}  // namespace millrace::adapters::rocksdb
