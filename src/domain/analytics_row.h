// Rows of topic orders_analytics: flat, one per order change, holding all that the warehouse tables need.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/utc_time.h"
#include "domain/order.h"
#include "domain/order_event.h"

namespace millrace::domain {

struct AnalyticsItem {
  ProductId product_id;
  std::string product_name;
  std::int64_t quantity = 0;
  Money revenue;  ///< quantity × unit price, exact (4 decimals).
  friend bool operator==(const AnalyticsItem&, const AnalyticsItem&) = default;
};

/// What an order contributes to the aggregates while it is in this state.
struct AnalyticsImage {
  UserId user_id;
  std::string user_email;
  base::UtcTime order_date;  ///< When the order was made; whole seconds.
  Money total_amount;
  std::int64_t items_count = 0;
  OrderStatus status = OrderStatus::kPending;
  PaymentMethod payment_method = PaymentMethod::kCreditCard;
  PaymentStatus payment_status = PaymentStatus::kPending;
  std::vector<AnalyticsItem> items;
  friend bool operator==(const AnalyticsImage&, const AnalyticsImage&) = default;
};

[[nodiscard]] AnalyticsImage analytics_image_of(const OrderImage& order);

/// One version of an order for the warehouse. The deltas of the aggregates are: minus `before`, plus
/// `current` unless deleted.
struct AnalyticsRow {
  EventId event_id;
  OrderId order_id;
  OrderEventType type = OrderEventType::kCreated;
  std::uint64_t version = 0;
  AnalyticsImage current;                ///< For a deletion the order as it was.
  std::optional<AnalyticsImage> before;  ///< Absent for a creation.
  std::optional<base::UtcTime> deleted_at;
  std::string traceparent;
  base::UtcTime occurred_at;     ///< Just before the order transaction's commit.
  base::UtcTime relayed_at;      ///< When the relay appended the event to the log.
  base::UtcTime transformed_at;  ///< When the row was made.

  [[nodiscard]] bool is_deleted() const { return type == OrderEventType::kDeleted; }
  friend bool operator==(const AnalyticsRow&, const AnalyticsRow&) = default;
};

/// CREATED, UPDATED or DELETED: how the warehouse spells the type.
[[nodiscard]] std::string_view analytics_event_type(OrderEventType type);

/// The value of the record. Shape: schema/events/orders_analytics.md.
[[nodiscard]] std::string to_json(const AnalyticsRow& row);

/// Ignores members that it does not know. Errors: kRejected with the reason.
[[nodiscard]] base::Result<AnalyticsRow> parse_analytics_row(std::string_view json);

}  // namespace millrace::domain
