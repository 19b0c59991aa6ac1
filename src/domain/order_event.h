// Events of topic order.events: what changed in one order, with the image before and after.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/utc_time.h"
#include "domain/order.h"

namespace millrace::domain {

enum class OrderEventType { kCreated, kStatusChanged, kDeleted };

/// "OrderCreated", "OrderStatusChanged", "OrderDeleted".
[[nodiscard]] std::string_view to_string(OrderEventType type);

/// Created has no `before`, Deleted no `after`, StatusChanged both (it also stands for payment changes).
struct OrderEvent {
  OrderEventType type = OrderEventType::kCreated;
  std::uint64_t version = 0;  ///< Unix ms, strictly growing per order.
  base::UtcTime occurred_at;  ///< When the transaction that made the change was about to commit.
  std::optional<OrderImage> before;
  std::optional<OrderImage> after;
  /// Deleted only: when the order was deleted, if that was not at occurred_at (it was told of later).
  std::optional<base::UtcTime> deleted_at;
  std::string deleted_by;   ///< The admin id; Deleted only.
  std::string traceparent;  ///< W3C trace context of the request, or empty.

  [[nodiscard]] const OrderImage& image() const { return after ? *after : *before; }
};

/// The payload of the outbox row and of the record. Shape: schema/events/order.events.md.
[[nodiscard]] std::string to_json(const OrderEvent& event);

/// Ignores members that it does not know. Errors: kRejected with the reason (a dead letter).
[[nodiscard]] base::Result<OrderEvent> parse_order_event(std::string_view json);

}  // namespace millrace::domain
