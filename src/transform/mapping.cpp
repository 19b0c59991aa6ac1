#include "transform/mapping.h"

namespace millrace::transform {
namespace {

domain::AnalyticsImage to_analytics_image(const domain::OrderImage& order) {
  domain::AnalyticsImage image;
  image.user_id = order.user_id;
  image.user_email = order.user_email;
  image.order_date = std::chrono::floor<std::chrono::seconds>(order.created_at);
  image.total_amount = order.total_amount;
  image.items_count = order.items_count();
  image.status = order.status;
  image.payment_method = order.payment_method;
  image.payment_status = order.payment_status;
  image.items.reserve(order.lines.size());
  for (const domain::OrderLine& line : order.lines)
    image.items.push_back({line.product_id, line.product_name, line.quantity, line.revenue()});
  return image;
}

}  // namespace

domain::AnalyticsRow to_analytics_row(const domain::OrderEvent& event, domain::EventId id,
                                      base::UtcTime relayed_at, base::UtcTime now) {
  domain::AnalyticsRow row;
  row.event_id = id;
  row.order_id = event.image().order_id;
  row.type = event.type;
  row.version = event.version;
  row.current = to_analytics_image(event.image());
  if (event.before) row.before = to_analytics_image(*event.before);
  if (event.type == domain::OrderEventType::kDeleted)
    row.deleted_at = std::chrono::floor<std::chrono::seconds>(event.occurred_at);
  row.traceparent = event.traceparent;
  row.occurred_at = event.occurred_at;
  row.relayed_at = relayed_at;
  row.transformed_at = now;
  return row;
}

}  // namespace millrace::transform
