// The outbox and the sink's tables in memory, with a dial that makes the n-th call go wrong: for property
// tests of the stages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ports/outbox.h"
#include "sink/tables.h"

namespace millrace::test {

enum class Fault { kNone, kFail, kLoseAnswer, kDoHalf };

/// Counts calls and makes one of them go wrong. Thread-safe.
class CallDial {
 public:
  void arm(std::uint64_t nth, Fault fault) {
    const std::lock_guard lock(mutex_);
    calls_ = 0;
    nth_ = nth;
    fault_ = fault;
  }
  Fault next() {
    const std::lock_guard lock(mutex_);
    return ++calls_ == nth_ ? fault_ : Fault::kNone;
  }
  [[nodiscard]] std::uint64_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t calls_ = 0;     // guarded by mutex_
  std::uint64_t nth_ = 0;       // guarded by mutex_
  Fault fault_ = Fault::kNone;  // guarded by mutex_
};

inline std::unexpected<base::Error> away() {
  return base::unavailable("away (call dial)");
}

/// Rows are added committed. One lease has the lock until it is destroyed or the lock is broken.
class MemoryOutbox final : public ports::Outbox {
 public:
  explicit MemoryOutbox(CallDial& dial) : dial_(dial) {}

  std::uint64_t add(const std::string& aggregate_id, const std::string& event_type,
                    const std::string& payload) {
    const std::lock_guard lock(mutex_);
    const auto id = static_cast<std::uint64_t>(rows_.size() + 1);
    rows_.push_back({{id, aggregate_id, "Order", event_type, payload, base::utc_from_ms(1)}, false, false});
    return id;
  }
  /// A row whose transaction is slow: nobody sees it before it is committed.
  std::uint64_t begin(const std::string& aggregate_id, const std::string& event_type,
                      const std::string& payload) {
    const std::uint64_t id = add(aggregate_id, event_type, payload);
    const std::lock_guard lock(mutex_);
    open_.insert(id);
    return id;
  }
  void commit(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    open_.erase(id);
  }
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(rows_, [](const Row& row) { return !row.processed && !row.parked; }));
  }
  [[nodiscard]] std::set<std::uint64_t> parked() const {
    const std::lock_guard lock(mutex_);
    std::set<std::uint64_t> ids;
    for (const Row& row : rows_)
      if (row.parked) ids.insert(row.row.id);
    return ids;
  }

  base::Result<std::unique_ptr<ports::OutboxLease>> acquire(std::int32_t, base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    if (holder_ != 0) return base::conflict("another relay has the lock");
    holder_ = ++epoch_;
    return std::make_unique<Lease>(*this, epoch_);
  }
  /// As when the holder's connection is lost and it does not know yet: the next `acquire` takes over.
  void break_lock() {
    const std::lock_guard lock(mutex_);
    holder_ = 0;
  }
  /// As when an `acquire` is carried out whose caller is gone: the epoch is raised, nobody has the lock.
  void acquire_for_nobody() {
    const std::lock_guard lock(mutex_);
    if (holder_ == 0) ++epoch_;
  }
  /// Marks rows as the lease of that epoch would; false if a higher epoch refuses it.
  bool mark(std::uint64_t epoch, std::span<const std::uint64_t> ids) {
    const std::lock_guard lock(mutex_);
    if (epoch_ != epoch) return false;
    for (Row& row : rows_) row.processed |= std::ranges::find(ids, row.row.id) != ids.end();
    return true;
  }
  base::Result<ports::OutboxDepth> depth(base::Deadline) override {
    return ports::OutboxDepth{waiting(), parked().size()};
  }

 private:
  struct Row {
    ports::OutboxRow row;
    bool processed;
    bool parked;
  };

  bool shows(const Row& row) const { return !row.processed && !row.parked && !open_.contains(row.row.id); }

  class Lease final : public ports::OutboxLease {
   public:
    Lease(MemoryOutbox& outbox, std::uint64_t epoch) : outbox_(outbox), epoch_(epoch) {}
    ~Lease() override {
      const std::lock_guard lock(outbox_.mutex_);
      if (outbox_.holder_ == epoch_) outbox_.holder_ = 0;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    [[nodiscard]] std::uint64_t epoch() const override { return epoch_; }
    base::Result<std::vector<ports::OutboxRow>> fetch(std::uint64_t after, std::size_t rows_max,
                                                      base::Deadline) override {
      if (outbox_.dial_.next() != Fault::kNone) return away();
      const std::lock_guard lock(outbox_.mutex_);
      std::vector<ports::OutboxRow> fetched;
      for (const Row& row : outbox_.rows_)
        if (outbox_.shows(row) && row.row.id > after && fetched.size() < rows_max) fetched.push_back(row.row);
      return fetched;
    }
    base::Result<std::size_t> waiting_up_to(std::uint64_t last, base::Deadline) override {
      if (outbox_.dial_.next() != Fault::kNone) return away();
      const std::lock_guard lock(outbox_.mutex_);
      return static_cast<std::size_t>(std::ranges::count_if(
          outbox_.rows_, [&](const Row& row) { return outbox_.shows(row) && row.row.id <= last; }));
    }
    base::Result<void> mark_processed(std::span<const std::uint64_t> ids, base::Deadline) override {
      return change([&](Row& row) { row.processed |= std::ranges::find(ids, row.row.id) != ids.end(); });
    }
    base::Result<void> park(std::uint64_t id, const std::string& aggregate_id, base::Deadline) override {
      return change([&](Row& row) {
        row.parked |= !row.processed && row.row.aggregate_id == aggregate_id && row.row.id >= id;
      });
    }
    base::Result<std::size_t> remove_processed(base::UtcTime, std::size_t, base::Deadline) override {
      return 0;
    }
    base::Result<void> keep(base::Deadline) override { return {}; }
    base::Result<std::optional<ports::RelayedTopic>> topic(const std::string& topic,
                                                           base::Deadline) override {
      if (outbox_.dial_.next() != Fault::kNone) return away();
      const std::lock_guard lock(outbox_.mutex_);
      const auto found = outbox_.topics_.find(topic);
      return found == outbox_.topics_.end() ? std::nullopt : std::optional(found->second);
    }
    base::Result<void> record_topic(const std::string& topic, const ports::RelayedTopic& now,
                                    base::Deadline) override {
      const Fault fault = outbox_.dial_.next();
      const std::lock_guard lock(outbox_.mutex_);
      if (outbox_.epoch_ != epoch_) return base::conflict("another relay has a higher epoch");
      if (fault == Fault::kFail || fault == Fault::kDoHalf) return away();
      outbox_.topics_[topic] = now;
      if (fault == Fault::kLoseAnswer) return away();
      return {};
    }

   private:
    template <class Change>
    base::Result<void> change(Change apply) {
      const Fault fault = outbox_.dial_.next();
      const std::lock_guard lock(outbox_.mutex_);
      if (outbox_.epoch_ != epoch_) return base::conflict("another relay has a higher epoch");
      if (fault == Fault::kFail || fault == Fault::kDoHalf) return away();  // a transaction has no halves
      for (Row& row : outbox_.rows_) apply(row);
      if (fault == Fault::kLoseAnswer) return away();
      return {};
    }
    MemoryOutbox& outbox_;
    std::uint64_t epoch_;
  };

  CallDial& dial_;
  mutable std::mutex mutex_;
  std::set<std::uint64_t> open_;                       // rows of transactions that are not committed
  std::vector<Row> rows_;                              // guarded by mutex_
  std::map<std::string, ports::RelayedTopic> topics_;  // guarded by mutex_
  std::uint64_t epoch_ = 0;                            // guarded by mutex_
  std::uint64_t holder_ = 0;  // guarded by mutex_; the epoch of the lease that has the lock, 0: none
};

/// Keeps every row ever written, as merges may come at any time; readers take the newest.
class MemoryTables final : public sink::SinkTables {
 public:
  explicit MemoryTables(CallDial& dial) : dial_(dial) {}

  struct BaseRow {
    domain::OrderId order_id;
    std::uint64_t version = 0;
    bool is_deleted = false;
    domain::AnalyticsImage image;
  };

  base::Result<sink::Generation> generation(base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    return generation_;
  }
  base::Result<std::map<domain::OrderId, std::uint64_t>> snapshot_versions(
      std::uint32_t generation, std::span<const domain::OrderId> orders, base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    if (generation != generation_.number) return base::unavailable("the generation has no snapshot any more");
    std::map<domain::OrderId, std::uint64_t> found;
    for (const domain::OrderId& order : orders)
      if (const auto entry = snapshot_.find(order); entry != snapshot_.end()) found.insert(*entry);
    return found;
  }
  base::Result<sink::SinkPosition> position(const std::string& source, base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    const auto found = positions_.find(source);
    return found == positions_.end() ? sink::SinkPosition{} : found->second;
  }
  base::Result<bool> has_former_incarnation(const std::string& source, const sink::Generation& generation,
                                            base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    const auto is_former = [&](const auto& name) {
      return sink::is_former_incarnation(name, source, generation);
    };
    return std::ranges::any_of(positions_, [&](const auto& entry) { return is_former(entry.first); }) ||
           std::ranges::any_of(rollups_, [&](const auto& entry) { return is_former(entry.first.first); });
  }
  base::Result<void> write_positions(const std::map<std::string, sink::SinkPosition>& positions,
                                     base::UtcTime, base::Deadline) override {
    return write(positions.size(), [&](std::size_t count) {
      for (const auto& [source, position] : positions) {
        if (count-- == 0) break;
        if (position.upto > positions_[source].upto) positions_[source] = position;
      }
    });
  }
  base::Result<base::UtcTime> now(base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    return base::utc_from_ms(1);
  }
  base::Result<std::map<domain::OrderId, std::uint64_t>> purged_versions(
      std::span<const domain::OrderId> orders, base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    std::map<domain::OrderId, std::uint64_t> found;
    for (const domain::OrderId& order : orders)
      if (const auto entry = purged_.find(order); entry != purged_.end()) found.insert(*entry);
    return found;
  }
  base::Result<void> insert_base(std::span<const domain::AnalyticsRow* const> rows, base::UtcTime,
                                 base::UtcTime, base::Deadline) override {
    return write(rows.size(), [&](std::size_t count) {
      for (const domain::AnalyticsRow* row : rows.subspan(0, count)) {
        BaseRow& kept = base_[row->order_id.value()];
        if (row->version >= kept.version)
          kept = {row->order_id, row->version, row->is_deleted(), row->current};
      }
    });
  }
  base::Result<void> insert_rollups(std::span<const sink::RollupRow> rows, base::Deadline) override {
    {
      const std::lock_guard lock(mutex_);
      const std::string prefix = std::to_string(generation_.number) + "/";
      if (generation_.number > 0)
        for (const sink::RollupRow& row : rows)
          if (!row.source->starts_with(prefix))
            return base::rejected("constraint generation is violated", 469);
    }
    return write(rows.size(), [&](std::size_t count) {
      for (const sink::RollupRow& row : rows.subspan(0, count)) {
        auto& versions = rollups_[{*row.source, *row.key}];
        const auto [known, fresh] = versions.emplace(row.sum.upto, row.sum.sums);
        clash_ |= !fresh && !(known->second == row.sum.sums);
      }
    });
  }
  base::Result<sink::SumCache> load_cache(const std::string& source, std::size_t keys_max,
                                          base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    // Half of the buckets only, so that reading single keys is tried too.
    std::set<std::uint32_t> buckets;
    for (const auto& [key, versions] : rollups_) buckets.insert(key.second.bucket);
    const std::uint32_t since =
        buckets.empty() ? 0 : *std::next(buckets.begin(), static_cast<std::ptrdiff_t>(buckets.size() / 2));
    sink::SumCache cache(since, keys_max);
    for (const auto& [key, versions] : rollups_)
      if (key.first == source && key.second.bucket >= since)
        cache.store(key.second, {versions.rbegin()->first, versions.rbegin()->second});
    return cache;
  }
  base::Result<std::vector<std::pair<sink::RollupKey, sink::RunningSum>>> read_sums(
      const std::string& source, std::span<const sink::RollupKey> keys, base::Deadline) override {
    if (dial_.next() != Fault::kNone) return away();
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<sink::RollupKey, sink::RunningSum>> found;
    for (const sink::RollupKey& key : keys)
      if (const auto entry = rollups_.find({source, key}); entry != rollups_.end())
        found.emplace_back(key,
                           sink::RunningSum{entry->second.rbegin()->first, entry->second.rbegin()->second});
    return found;
  }

  /// From now on these are the tables of a generation that began with this snapshot: other sources' sums are
  /// refused.
  void begin_generation(std::uint32_t number, std::map<domain::OrderId, std::uint64_t> snapshot) {
    const std::lock_guard lock(mutex_);
    generation_ = {number, 0};
    for (const auto& [order, version] : snapshot)
      generation_.snapshot_version_max = std::max(generation_.snapshot_version_max, version);
    snapshot_ = std::move(snapshot);
  }
  /// Puts the shadow's tables in the place of these; positions are common to all generations.
  void exchange_with(MemoryTables& shadow) {
    const std::scoped_lock lock(mutex_, shadow.mutex_);
    std::swap(generation_, shadow.generation_);
    std::swap(snapshot_, shadow.snapshot_);
    std::swap(base_, shadow.base_);
    std::swap(rollups_, shadow.rollups_);
    positions_.merge(shadow.positions_);
  }

  /// As the purge leaves it: the order is gone from the base table, and must stay so.
  void purge(const domain::OrderId& order, std::uint64_t version) {
    const std::lock_guard lock(mutex_);
    purged_[order] = version;
    base_.erase(order.value());
  }

  /// The highest offset that a running sum of the source is true for.
  [[nodiscard]] std::uint64_t newest_upto(const std::string& source) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t newest = 0;
    for (const auto& [key, versions] : rollups_)
      if (key.first == source) newest = std::max(newest, versions.rbegin()->first);
    return newest;
  }
  /// How many of the rows have a newer one of the same key and source beside them.
  [[nodiscard]] std::size_t outdated(std::span<const sink::RollupRow> rows) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(rows, [&](const sink::RollupRow& row) {
      const auto found = rollups_.find({*row.source, *row.key});
      return found != rollups_.end() && found->second.rbegin()->first > row.sum.upto;
    }));
  }

  /// Two different values for one key, source and offset were written: the sums are no function of the log.
  [[nodiscard]] bool clash() const { return clash_; }
  [[nodiscard]] std::map<std::string, BaseRow> base_rows() const {
    const std::lock_guard lock(mutex_);
    return base_;
  }
  /// What a reader sees: the newest per source, added up; keys of all zeros left out.
  [[nodiscard]] std::map<std::string, sink::Sums> sums() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, sink::Sums> all;
    for (const auto& [key, versions] : rollups_) all[name_of(key.second)] += versions.rbegin()->second;
    std::erase_if(all, [](const auto& entry) { return entry.second == sink::Sums{}; });
    return all;
  }
  [[nodiscard]] static std::string name_of(const sink::RollupKey& key) {
    return std::to_string(static_cast<int>(key.dimension)) + "|" + key.leader + "|" +
           std::to_string(key.bucket) + "|" + key.key1 + "|" + key.key2;
  }

 private:
  struct KeyOrder {
    bool operator()(const std::pair<std::string, sink::RollupKey>& a,
                    const std::pair<std::string, sink::RollupKey>& b) const {
      const auto tied = [](const auto& entry) {
        const sink::RollupKey& key = entry.second;
        return std::tie(entry.first, key.dimension, key.leader, key.bucket, key.key1, key.key2);
      };
      return tied(a) < tied(b);
    }
  };

  template <class Apply>
  base::Result<void> write(std::size_t rows, Apply apply) {
    const Fault fault = dial_.next();
    const std::lock_guard lock(mutex_);
    if (fault == Fault::kFail) return away();
    apply(fault == Fault::kDoHalf ? rows / 2 : rows);
    if (fault != Fault::kNone) return away();
    return {};
  }

  CallDial& dial_;
  mutable std::mutex mutex_;
  sink::Generation generation_;                          // guarded by mutex_
  std::map<domain::OrderId, std::uint64_t> snapshot_;    // guarded by mutex_
  std::map<std::string, sink::SinkPosition> positions_;  // guarded by mutex_
  std::map<std::string, BaseRow> base_;                  // guarded by mutex_
  std::map<domain::OrderId, std::uint64_t> purged_;      // guarded by mutex_
  std::map<std::pair<std::string, sink::RollupKey>, std::map<std::uint64_t, sink::Sums>, KeyOrder>
      rollups_;         // guarded by mutex_
  bool clash_ = false;  // guarded by mutex_
};

}  // namespace millrace::test
