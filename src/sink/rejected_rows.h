// Which rows of a refused insert are to blame.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/analytics_row.h"

namespace millrace::sink {

struct RefusedRow {
  const domain::AnalyticsRow* row = nullptr;
  std::string reason;  ///< For the dead letter, which strangers read: nothing of what the warehouse said.
  std::string detail;  ///< For the log.
};

/// Inserts some rows; kRejected when one of them can never be taken. May be repeated with any of them.
using InsertRows = std::function<base::Result<void>(std::vector<const domain::AnalyticsRow*>)>;

/// `rows` were refused together, with `refusal`: halves them until all are in but those that are refused
/// alone, which it gives back. About 2 · log2(rows) inserts for each of those. Errors: the first one of
/// `insert` that is not kRejected; then any of the rows may be in.
[[nodiscard]] base::Result<std::vector<RefusedRow>> bisect_insert(
    const std::vector<const domain::AnalyticsRow*>& rows, const base::Error& refusal,
    const InsertRows& insert);

}  // namespace millrace::sink
