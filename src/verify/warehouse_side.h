// What is asked of the warehouse: thin SQL, nothing is compared here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "ports/warehouse.h"
#include "verify/rows.h"
#include "verify/store_side.h"
#include "verify/view.h"

namespace millrace::verify {

// Errors of all of these: kUnavailable (also when an answer broke off), kRejected (the statement: the schema
// is another one), kFatal (credentials). Values go as hexadecimal parameters, so no text has to be escaped on
// the way.

/// Orders with `after_id` < id, and id <= `up_to_id` if given, newest version each, by id in byte order.
[[nodiscard]] base::Result<void> stream_orders(ports::Warehouse& warehouse, const std::string& after_id,
                                               const std::optional<std::string>& up_to_id,
                                               const std::function<base::Result<void>(OrderRow)>& on_row,
                                               base::Deadline deadline);

/// Those of `ids` that exist.
[[nodiscard]] base::Result<OrderMap> read_orders(ports::Warehouse& warehouse,
                                                 const std::vector<std::string>& ids,
                                                 base::Deadline deadline);

/// Rows of a view with `after` < key (if given) and key <= `up_to` (if given), by key in byte order.
[[nodiscard]] base::Result<void> stream_view(ports::Warehouse& warehouse, const View& view,
                                             const std::optional<Key>& after, const std::optional<Key>& up_to,
                                             const std::function<base::Result<void>(ViewRow)>& on_row,
                                             base::Deadline deadline);

/// Those of `keys` that exist; all of them lie on `day`.
[[nodiscard]] base::Result<ViewMap> read_view_keys(ports::Warehouse& warehouse, const View& view,
                                                   const std::string& day, const std::set<Key>& keys,
                                                   base::Deadline deadline);

/// Takes those out of `waiting` that the warehouse shows at their version or a newer one.
[[nodiscard]] base::Result<void> remove_arrived(ports::Warehouse& warehouse,
                                                std::unordered_map<std::string, RecentOrder>& waiting,
                                                base::Deadline deadline);

}  // namespace millrace::verify
