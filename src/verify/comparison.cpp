#include "verify/comparison.h"

#include <algorithm>
#include <string_view>

namespace millrace::verify {
namespace {

/// This module's own statement of the rule; the store's SQL in view.cpp says it a second time.
bool is_sale(std::string_view status) {
  return status != "CANCELLED" && status != "REFUNDED";
}

constexpr std::size_t kUniqueCustomers = 2;

void apply(Measures& to, const Measures& amount, int sign) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += sign * amount[i];
}

void widen(Measures& lowest, Measures& highest, const Measures& at) {
  for (std::size_t i = 0; i < at.size(); ++i) {
    lowest[i] = std::min(lowest[i], at[i]);
    highest[i] = std::max(highest[i], at[i]);
  }
}

/// The average that the warehouse shows must follow from the sums that it shows in the same row, whatever
/// moves.
bool average_is_right(const View& view, const ViewRow& warehouse) {
  if (!view.has_average) return true;
  return warehouse.average && *warehouse.average == average_of(view, warehouse.measures);
}

}  // namespace

std::vector<Contribution> contributions(const View& view, const Image& image) {
  const std::string day = image.created_at.substr(0, 10);
  switch (view.id) {
    case ViewId::kDaily:
      if (!is_sale(image.status)) return {};
      return {{.key = {day}, .measures = {1, image.total_amount}, .customer = image.user_id}};
    case ViewId::kHourly:
      if (!is_sale(image.status)) return {};
      return {{.key = {image.created_at.substr(0, 13) + ":00:00"},
               .measures = {1, image.total_amount},
               .customer = {}}};
    case ViewId::kStatus:
      return {{.key = {day, image.status}, .measures = {1, image.total_amount}, .customer = {}}};
    case ViewId::kUser:
      return {{.key = {image.user_id, image.user_email, day},
               .measures = {1, image.total_amount},
               .customer = {}}};
    case ViewId::kProduct: {
      std::map<Key, Measures> sums;
      for (const ImageLine& line : image.lines)
        apply(sums[Key{day, line.product_id, line.product_name}], {line.quantity, line.revenue}, 1);
      std::vector<Contribution> all;
      for (const auto& [key, measures] : sums)
        all.push_back({.key = key, .measures = measures, .customer = {}});
      return all;
    }
  }
  return {};
}

void PendingChanges::add(const Change& change) {
  struct Bisection {
    Measures gone{};
    Measures come{};
  };
  std::map<Key, Bisection> touched;
  const auto collect = [&](const std::optional<Image>& image, Measures Bisection::* half,
                           std::set<std::string> KeyState::* customers) {
    if (!image) return;
    for (const Contribution& contribution : contributions(view_, *image)) {
      if (!keys_.contains(contribution.key)) continue;
      apply(touched[contribution.key].*half, contribution.measures, 1);
      if (!contribution.customer.empty())
        (states_[contribution.key].*customers).insert(contribution.customer);
    }
  };
  collect(change.before, &Bisection::gone, &KeyState::customers_gone);
  collect(change.after, &Bisection::come, &KeyState::customers_come);

  for (const auto& [key, halves] : touched) {
    Walk& walk = states_[key].orders[change.order_id];
    Measures only_gone = walk.at;
    apply(only_gone, halves.gone, -1);
    Measures only_come = walk.at;
    apply(only_come, halves.come, 1);
    apply(walk.at, halves.gone, -1);
    apply(walk.at, halves.come, 1);
    for (const Measures& stop : {only_gone, only_come, walk.at}) widen(walk.lowest, walk.highest, stop);
  }
}

PendingChange PendingChanges::of(const Key& key) const {
  PendingChange change;
  const auto found = states_.find(key);
  if (found == states_.end()) return change;
  change.changed = true;
  for (const auto& [order, walk] : found->second.orders) {
    apply(change.low, walk.lowest, 1);
    apply(change.high, walk.highest, 1);
  }
  // A customer with several orders may come or go with any of them, or with none: one up and one down bounds
  // each.
  change.low[kUniqueCustomers] -= static_cast<Int128>(found->second.customers_gone.size());
  change.high[kUniqueCustomers] += static_cast<Int128>(found->second.customers_come.size());
  return change;
}

bool views_equal(const View& view, const ViewRow* store, const ViewRow* warehouse) {
  if (store == nullptr || warehouse == nullptr) return store == warehouse;
  return !store->repeated && !warehouse->repeated && store->measures == warehouse->measures &&
         average_is_right(view, *warehouse);
}

Verdict compare_view(const View& view, const ViewRow* store_a, const ViewRow* warehouse,
                     const PendingChange& change, bool lagging) {
  if (views_equal(view, store_a, warehouse)) return Verdict::kEqual;
  // What no traffic and no lag explains: a key of nothing, a key twice, an average that does not follow from
  // its own row.
  if (warehouse != nullptr &&
      (warehouse->measures[0] <= 0 || warehouse->repeated || !average_is_right(view, *warehouse)))
    return Verdict::kDiffers;
  if (lagging) return Verdict::kLagging;
  if (!change.changed) return Verdict::kDiffers;
  const Measures nothing{};
  const Measures& base = store_a != nullptr ? store_a->measures : nothing;
  const Measures& shown = warehouse != nullptr ? warehouse->measures : nothing;
  for (std::size_t i = 0; i < view.measures.size(); ++i) {
    if (shown[i] < base[i] + change.low[i] || shown[i] > base[i] + change.high[i]) return Verdict::kDiffers;
  }
  return Verdict::kInFlight;
}

bool orders_equal(const OrderRow* store, const OrderRow* warehouse) {
  if (store != nullptr && warehouse == nullptr) return store->may_be_purged;
  if (store == nullptr || warehouse == nullptr) return store == warehouse;
  return !store->repeated && !warehouse->repeated && store->columns == warehouse->columns;
}

Verdict compare_order(const OrderRow* store_before, const OrderRow* warehouse, const OrderRow* store_after) {
  if (orders_equal(store_before, warehouse) || orders_equal(store_after, warehouse)) return Verdict::kEqual;
  if (store_after == nullptr || (warehouse != nullptr && warehouse->repeated)) return Verdict::kDiffers;
  if (warehouse == nullptr) return store_before == nullptr ? Verdict::kInFlight : Verdict::kLagging;
  if (store_before != nullptr && warehouse->version < store_before->version) return Verdict::kLagging;
  // Between two versions of the store a third may have come and gone unseen; at a version that was seen, all
  // columns count.
  const bool between = warehouse->version < store_after->version &&
                       (store_before == nullptr || warehouse->version > store_before->version);
  return between ? Verdict::kInFlight : Verdict::kDiffers;
}

}  // namespace millrace::verify
