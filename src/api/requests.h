// Reading requests: from untrusted text to commands and typed questions, or one sentence that says what to
// change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "analytics/analytics.h"
#include "base/result.h"
#include "ordering/order_service.h"
#include "ports/http.h"

namespace millrace::api {

inline constexpr std::size_t kShippingAddressBytesMax = 1000;
inline constexpr std::size_t kAdminIdBytesMax = 100;
inline constexpr std::size_t kEmailBytesMax = 255;
inline constexpr std::size_t kCategoryBytesMax = 100;
inline constexpr std::int64_t kStockMax = 1'000'000'000;

// Errors of all of these: kInvalid. Unknown members and parameters are ignored, members that are null count
// as absent.

/// {userId, items: [{productId, quantity, price?}], shippingAddress?, status?, paymentMethod?, totalAmount?}
[[nodiscard]] base::Result<ordering::PlaceOrder> parse_place_order(std::string_view body,
                                                                   std::string traceparent);

/// {orderId, status?, amount?, method?}
[[nodiscard]] base::Result<ordering::SettlePayment> parse_payment(std::string_view body,
                                                                  std::string traceparent);

/// {quantity}
[[nodiscard]] base::Result<ordering::SetStock> parse_set_stock(std::string_view product_id,
                                                               std::string_view body);

/// X-Admin-Id: 1 to kAdminIdBytesMax bytes of UTF-8 without control characters.
[[nodiscard]] base::Result<std::string> parse_admin_id(std::optional<std::string_view> header);

/// A segment of the path; `what` names it in the error: "an order id".
[[nodiscard]] base::Result<std::string> parse_segment(std::string_view segment, std::string_view what,
                                                      std::size_t bytes_max);

/// Parameter `limit`: 1 to `most`, `otherwise` if it is absent.
[[nodiscard]] base::Result<std::uint32_t> parse_limit(const ports::HttpRequest& request,
                                                      std::uint32_t otherwise, std::uint32_t most);

/// The same of another parameter.
[[nodiscard]] base::Result<std::uint32_t> parse_count(const ports::HttpRequest& request,
                                                      std::string_view name, std::uint32_t otherwise,
                                                      std::uint32_t most);

/// A parameter that is "true", "1" or empty (set), "false", "0" or absent (not set).
[[nodiscard]] base::Result<bool> parse_flag(const ports::HttpRequest& request, std::string_view name);

/// Parameters startDate, endDate (YYYY-MM-DD, both included) and limit.
[[nodiscard]] base::Result<analytics::SalesRange> parse_sales_range(const ports::HttpRequest& request);

}  // namespace millrace::api
