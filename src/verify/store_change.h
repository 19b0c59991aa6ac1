// Reading the images of a change from an outbox payload, with this room's own eyes.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "verify/comparison.h"

namespace millrace::verify {

/// Errors: kInvalid when the payload holds neither image or an image lacks something.
/// Source: CONTRACT section 4: the members `before` and `after` of an order event.
[[nodiscard]] base::Result<Change> read_change(std::string_view order_id, std::string_view payload);

}  // namespace millrace::verify
