#include "sink/rollups.h"

#include <chrono>

namespace millrace::sink {
namespace {

template <class Period>
std::uint32_t bucket_of(base::UtcTime time) {
  return static_cast<std::uint32_t>(base::to_seconds(base::UtcTime(std::chrono::floor<Period>(time))));
}

void add_image(const domain::AnalyticsImage& image, bool subtract,
               const std::function<void(RollupKey, const Sums&)>& add) {
  const std::uint32_t hour = bucket_of<std::chrono::hours>(image.order_date);
  const std::uint32_t day = bucket_of<std::chrono::days>(image.order_date);
  const std::int64_t sale = domain::counts_as_sale(image.status) ? 1 : 0;
  const auto put = [&](RollupKey key, const Sums& sums) { add(std::move(key), subtract ? -sums : sums); };

  put({Dimension::kHourStatus, {}, hour, std::string(domain::to_string(image.status)), {}},
      {.order_count = 1, .sale_count = 0, .quantity = 0, .amount = image.total_amount});
  put({Dimension::kDayUser, {}, day, image.user_id.value(), {}},
      {.order_count = 0, .sale_count = sale, .quantity = 0, .amount = {}});
  put({Dimension::kUserDay, image.user_id.value(), day, image.user_email, {}},
      {.order_count = 1, .sale_count = sale, .quantity = 0, .amount = image.total_amount});
  for (const domain::AnalyticsItem& item : image.items)
    put({Dimension::kDayProduct, {}, day, item.product_id.value(), item.product_name},
        {.order_count = 0, .sale_count = 0, .quantity = item.quantity, .amount = item.revenue});
}

}  // namespace

std::size_t RollupKeyHash::operator()(const RollupKey& key) const noexcept {
  const std::hash<std::string> text;
  std::size_t hash = text(key.leader);
  const auto mix = [&](std::size_t value) {
    hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6u) + (hash >> 2u);
  };
  mix(text(key.key1));
  mix(text(key.key2));
  mix(key.bucket);
  mix(static_cast<std::size_t>(key.dimension));
  return hash;
}

Sums& Sums::operator+=(const Sums& other) {
  order_count += other.order_count;
  sale_count += other.sale_count;
  quantity += other.quantity;
  amount += other.amount;
  return *this;
}

Sums Sums::operator-() const {
  return {-order_count, -sale_count, -quantity, -amount};
}

void for_each_delta(const domain::AnalyticsRow& row, const std::function<void(RollupKey, const Sums&)>& add) {
  if (row.before) add_image(*row.before, true, add);
  if (!row.is_deleted()) add_image(row.current, false, add);
}

std::optional<CumulativeAggregate> RollupCache::find(const RollupKey& key) const {
  if (const auto known = sums_.find(key); known != sums_.end()) return known->second;
  if (key.bucket >= complete_since_) return CumulativeAggregate{};
  return std::nullopt;
}

void RollupCache::shrink() {
  if (sums_.size() <= keys_max_) return;
  std::map<std::uint32_t, std::size_t> keys_of_bucket;
  for (const auto& [key, sum] : sums_) ++keys_of_bucket[key.bucket];
  // Down to three quarters, so that the next batches do not shrink again at once.
  std::size_t kept = 0;
  std::uint32_t since = UINT32_MAX;
  for (auto bucket = keys_of_bucket.rbegin(); bucket != keys_of_bucket.rend(); ++bucket) {
    if (kept + bucket->second > keys_max_ / 4 * 3) break;
    kept += bucket->second;
    since = bucket->first;
  }
  complete_since_ = std::max(complete_since_, since);
  std::erase_if(sums_, [this](const auto& entry) { return entry.first.bucket < complete_since_; });
}

}  // namespace millrace::sink
