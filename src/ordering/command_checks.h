// What a command must be before anything is read for it.
#pragma once

#include "base/result.h"
#include "ordering/order_service.h"

namespace millrace::ordering {

/// Of the command by itself: ids, quantities, lengths. Errors: kInvalid.
[[nodiscard]] base::Result<void> check(const Command& command);

}  // namespace millrace::ordering
