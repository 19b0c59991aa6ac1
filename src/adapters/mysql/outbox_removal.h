// Removes outbox rows that were processed long ago.
#pragma once

#include <cstddef>

#include "adapters/mysql/connection.h"
#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"

namespace millrace::adapters::mysql {

/// The most that one transaction removes, so that it holds its locks for a moment only.
inline constexpr std::size_t kRemovedRowsMax = 1'024;

/// One transaction. Looks at the oldest rows only: the young ones behind them, which may be millions, are
/// never read; and skips those that another session has locked, which may keep them locked for hours.
/// Shape: how many went. After an error the connection holds a transaction of unknown state.
[[nodiscard]] base::Result<std::size_t> remove_portion(Connection& connection, base::UtcTime before,
                                                       std::size_t rows_max, base::Deadline deadline);

}  // namespace millrace::adapters::mysql
