// The core: what the warehouse may show while orders change, and what is therefore certainly wrong. Pure
// functions and data.
//
// The check of one key under traffic: snapshot A of the store; wait until all that A holds has reached the
// warehouse; read W there; snapshot B of the store. W then holds everything in A and some of the changes
// between A and B. So if nothing that counts into the key changed, W must equal A; and otherwise W must lie
// between A plus all that may have been taken away and A plus all that may have been added. What lies outside
// is wrong for certain; what lies inside but differs is in flight.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "verify/rows.h"
#include "verify/view.h"

namespace millrace::verify {

/// One line of an order as it is in a change's image.
struct ImageLine {
  std::string product_id;
  std::string product_name;
  Int128 quantity = 0;
  Int128 revenue = 0;  ///< quantity × price in units of 10^-4.
};

/// An order as it was before or after a change.
struct Image {
  std::string user_id;
  std::string user_email;
  std::string created_at;  ///< "2026-01-31 09:05:00.123".
  std::string status;
  Int128 total_amount = 0;  ///< In cents.
  std::vector<ImageLine> lines;
};

/// One committed change of one order; a creation has no `before`, a deletion no `after`.
struct Change {
  std::string order_id;
  std::optional<Image> before;
  std::optional<Image> after;
};

/// What an order counts into one key of a view. `customer`: the user who counts into the key (daily sales
/// only).
struct Contribution {
  Key key;
  Measures measures{};
  std::string customer;
};

/// All that `image` counts into `view`; empty when it counts nothing (a cancelled order is no sale). Several
/// lines of one product come as one.
[[nodiscard]] std::vector<Contribution> contributions(const View& view, const Image& image);

/// How far a key's measures may have moved since A: measures in [low, high] relative to A. `changed` when any
/// order that counts into the key changed, even if the sum of the changes is 0.
struct PendingChange {
  bool changed = false;
  Measures low{};
  Measures high{};
};

/// Collects the changes between A and B for some keys of one view.
class PendingChanges {
 public:
  /// Only `keys` are looked at.
  PendingChanges(const View& view, const std::set<Key>& keys) : view_(view), keys_(keys) {}

  /// Changes of one order must come in the order of their commits. A change may be half visible (its `before`
  /// gone and its `after` not yet there, or the other way round), so both halves widen the change on their
  /// own; changes of one order are applied in order, so an order that came and went moves the key no further
  /// than it ever stood.
  void add(const Change& change);

  [[nodiscard]] PendingChange of(const Key& key) const;

 private:
  struct Walk {
    Measures at{};
    Measures lowest{};
    Measures highest{};
  };
  struct KeyState {
    std::map<std::string, Walk> orders;
    std::set<std::string> customers_gone;
    std::set<std::string> customers_come;
  };

  const View& view_;
  const std::set<Key>& keys_;
  std::map<Key, KeyState> states_;
};

enum class Verdict {
  kEqual,
  kInFlight,  ///< Differs from A, but within what the changes allow.
  kLagging,   ///< Differs, and the warehouse has not yet all that A holds.
  kDiffers,   ///< Wrong for certain.
};

/// One key of a view. Absent rows are nullptr. `lagging`: something of the key's day in A has not reached the
/// warehouse.
[[nodiscard]] Verdict compare_view(const View& view, const ViewRow* store_a, const ViewRow* warehouse,
                                   const PendingChange& change, bool lagging);

/// One order: as the store had it before and after the warehouse was read.
[[nodiscard]] Verdict compare_order(const OrderRow* store_before, const OrderRow* warehouse,
                                    const OrderRow* store_after);

/// True if the two sides agree as they stand; both absent agrees, and so does a purged order.
[[nodiscard]] bool orders_equal(const OrderRow* store, const OrderRow* warehouse);
[[nodiscard]] bool views_equal(const View& view, const ViewRow* store, const ViewRow* warehouse);

}  // namespace millrace::verify
