// The pure mapping from an order event to a flat analytics row.
#pragma once

#include "domain/analytics_row.h"
#include "domain/order_event.h"

namespace millrace::transform {

/// `relayed_at` is the record's time, `now` the time of this step; both only travel along for measuring
/// freshness.
[[nodiscard]] domain::AnalyticsRow to_analytics_row(const domain::OrderEvent& event, domain::EventId id,
                                                    base::UtcTime relayed_at, base::UtcTime now);

}  // namespace millrace::transform
