#include "transform/mapping.h"

namespace millrace::transform {
domain::AnalyticsRow to_analytics_row(const domain::OrderEvent& event, domain::EventId id,
                                      base::UtcTime relayed_at, base::UtcTime now) {
  domain::AnalyticsRow row;
  row.event_id = id;
  row.order_id = event.image().order_id;
  row.type = event.type;
  row.version = event.version;
  row.current = domain::analytics_image_of(event.image());
  if (event.before) row.before = domain::analytics_image_of(*event.before);
  if (event.type == domain::OrderEventType::kDeleted)
    row.deleted_at = std::chrono::floor<std::chrono::seconds>(event.deleted_at.value_or(event.occurred_at));
  row.traceparent = event.traceparent;
  row.occurred_at = event.occurred_at;
  row.relayed_at = relayed_at;
  row.transformed_at = now;
  return row;
}

}  // namespace millrace::transform
