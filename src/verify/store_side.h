// What is asked of the order store: thin SQL, nothing is compared here. Every statement runs on MySQL and on
// MariaDB.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "ports/sql_reader.h"
#include "verify/comparison.h"
#include "verify/rows.h"
#include "verify/view.h"

namespace millrace::verify {

using OrderMap = std::map<std::string, OrderRow>;
using ViewMap = std::map<Key, ViewRow>;

/// A page of orders after an id, in byte order of the ids.
struct OrderPage {
  std::vector<OrderRow> rows;
  bool last = false;  ///< There are no orders after these.
};

/// An order that changed lately: what the warehouse must show before it is asked.
struct RecentOrder {
  std::uint64_t version = 0;
  std::string day;  ///< Of its order date.
};

/// The end of the outbox in one snapshot.
struct OutboxTail {
  std::uint64_t last_id = 0;
  bool cut = false;  ///< More rows followed than were asked for; `last_id` is the last that was read.
  std::unordered_map<std::string, RecentOrder> orders;
};

// All of these read one snapshot. Errors: kUnavailable (the snapshot is lost), kInvalid (a row is not of the
// form that it must have: the schema is another one).

[[nodiscard]] base::Result<OrderPage> read_orders_after(ports::SqlSnapshot& snapshot,
                                                        const std::string& after_id, std::size_t rows_max,
                                                        std::chrono::seconds purge_after,
                                                        base::Deadline deadline);

/// Those of `ids` that exist.
[[nodiscard]] base::Result<OrderMap> read_orders(ports::SqlSnapshot& snapshot,
                                                 const std::vector<std::string>& ids,
                                                 std::chrono::seconds purge_after, base::Deadline deadline);

/// All rows of a view, computed from orders and items, by key in byte order.
[[nodiscard]] base::Result<void> stream_view(ports::SqlSnapshot& snapshot, const View& view,
                                             const std::function<base::Result<void>(ViewRow)>& on_row,
                                             base::Deadline deadline);

/// Those of `keys` that exist; all of them lie on `day`.
[[nodiscard]] base::Result<ViewMap> read_view_keys(ports::SqlSnapshot& snapshot, const View& view,
                                                   const std::string& day, const std::set<Key>& keys,
                                                   base::Deadline deadline);

/// 0 when the outbox is empty.
[[nodiscard]] base::Result<std::uint64_t> read_outbox_last_id(ports::SqlSnapshot& snapshot,
                                                              base::Deadline deadline);

/// The orders of the outbox rows above `after_id`, at most `rows_max` rows.
[[nodiscard]] base::Result<OutboxTail> read_outbox_tail(ports::SqlSnapshot& snapshot, std::uint64_t after_id,
                                                        std::size_t rows_max, base::Deadline deadline);

/// Ids of outbox rows above `after_id`.
[[nodiscard]] base::Result<std::unordered_set<std::uint64_t>> read_outbox_ids(ports::SqlSnapshot& snapshot,
                                                                              std::uint64_t after_id,
                                                                              base::Deadline deadline);

/// The changes of orders in the outbox rows above `after_id` that are not among `seen`, in the order of their
/// ids; nullptr for one that cannot be read.
[[nodiscard]] base::Result<void> stream_changes(ports::SqlSnapshot& snapshot, std::uint64_t after_id,
                                                const std::unordered_set<std::uint64_t>& seen,
                                                const std::function<void(const Change*)>& on_change,
                                                base::Deadline deadline);

}  // namespace millrace::verify
