// Aggregate keys, their measures, what one row adds to them, and the running sums that are known.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "domain/analytics_row.h"

namespace millrace::sink {

/// The values are those of the Enum8 in schema/warehouse/001_analytics.sql, where each dimension's keys are
/// described.
enum class Dimension : std::int8_t { kHourStatus = 1, kDayUser = 2, kUserDay = 3, kDayProduct = 4 };

struct RollupKey {
  Dimension dimension = Dimension::kHourStatus;
  std::string leader;
  std::uint32_t bucket = 0;  ///< Start of the hour or day, Unix seconds.
  std::string key1;
  std::string key2;
  friend bool operator==(const RollupKey&, const RollupKey&) = default;
};

struct RollupKeyHash {
  std::size_t operator()(const RollupKey& key) const noexcept;
};

struct Sums {
  std::int64_t order_count = 0;
  std::int64_t sale_count = 0;
  std::int64_t quantity = 0;
  domain::Money amount;

  Sums& operator+=(const Sums& other);
  [[nodiscard]] Sums operator-() const;
  friend bool operator==(const Sums&, const Sums&) = default;
};

/// A running sum and the offset it is true for: over all records below `as_of_offset`.
struct CumulativeAggregate {
  std::uint64_t as_of_offset = 0;
  Sums sums;
  friend bool operator==(const CumulativeAggregate&, const CumulativeAggregate&) = default;
};

template <class Value>
using RollupMap = std::unordered_map<RollupKey, Value, RollupKeyHash>;

/// Calls `add` for every key that the row changes: minus the image before, plus the current one unless it is
/// deleted. A key may come more than once. Throws nothing of its own.
void for_each_delta(const domain::AnalyticsRow& row, const std::function<void(RollupKey, const Sums&)>& add);

/// The newest running sums of one source as far as they are known. A key whose bucket is at or after
/// `complete_since` and that is not here does not exist in the warehouse, so nothing needs to be read for it.
/// One caller.
class RollupCache {
 public:
  /// Knows nothing of buckets before `complete_since`; 0 means it knows all.
  explicit RollupCache(std::uint32_t complete_since, std::size_t keys_max)
      : complete_since_(complete_since), keys_max_(keys_max) {}

  /// The running sum (zero up to 0 where the key is known to be absent), or nothing when it must be read.
  [[nodiscard]] std::optional<CumulativeAggregate> find(const RollupKey& key) const;
  void store(const RollupKey& key, const CumulativeAggregate& sum) { sums_.insert_or_assign(key, sum); }

  /// Forgets the oldest buckets when there are more than `keys_max` keys. Call it between batches.
  void shrink();

  [[nodiscard]] std::size_t size() const { return sums_.size(); }
  [[nodiscard]] std::uint32_t complete_since() const { return complete_since_; }

 private:
  RollupMap<CumulativeAggregate> sums_;
  std::uint32_t complete_since_;
  std::size_t keys_max_;
};

}  // namespace millrace::sink
