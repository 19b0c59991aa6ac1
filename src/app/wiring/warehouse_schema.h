// The warehouse's tables and views (schema/warehouse), applied statement by statement.
#pragma once

#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "ports/warehouse.h"

namespace millrace::app {

/// The statements of an SQL text: split at semicolons outside of quotes and comments, without empty ones.
[[nodiscard]] std::vector<std::string_view> split_statements(std::string_view text);

/// Creates what is missing and renews the views; safe to run again and beside running stages. Errors: as the
/// port's.
[[nodiscard]] base::Result<void> init_warehouse(ports::Warehouse& warehouse, base::Deadline deadline);

}  // namespace millrace::app
