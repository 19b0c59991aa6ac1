// Orders as every room speaks of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong_id.h"
#include "base/utc_time.h"
#include "domain/money.h"

namespace millrace::domain {

using OrderId = base::StrongId<struct OrderIdTag, std::string>;      ///< UUID text, 36 characters.
using UserId = base::StrongId<struct UserIdTag, std::string>;        ///< At most 36 characters.
using ProductId = base::StrongId<struct ProductIdTag, std::string>;  ///< At most 36 characters.
using EventId = base::StrongId<struct EventIdTag, std::uint64_t>;    ///< The outbox row's id.

enum class OrderStatus {
  kPending,
  kPaymentProcessing,
  kPaymentConfirmed,
  kPreparing,
  kShipped,
  kDelivered,
  kCancelled,
  kRefunded
};
enum class PaymentStatus { kPending, kProcessing, kCompleted, kFailed, kRefunded };
enum class PaymentMethod { kCreditCard, kDebitCard, kBankTransfer, kPaypal, kCash };

/// "PAYMENT_CONFIRMED" and so on, the spelling of the database, the events and the HTTP answers.
[[nodiscard]] std::string_view to_string(OrderStatus status);
[[nodiscard]] std::string_view to_string(PaymentStatus status);
[[nodiscard]] std::string_view to_string(PaymentMethod method);

/// Any case; "processing" means PREPARING and "completed" means DELIVERED. Errors: kInvalid with the list.
[[nodiscard]] base::Result<OrderStatus> parse_order_status(std::string_view text);
[[nodiscard]] base::Result<PaymentStatus> parse_payment_status(std::string_view text);
[[nodiscard]] base::Result<PaymentMethod> parse_payment_method(std::string_view text);

/// Cancelled and refunded orders are no sales; the status, user and product views still show them.
[[nodiscard]] bool counts_as_sale(OrderStatus status);

/// A payment that is COMPLETED can only become REFUNDED, and one that is REFUNDED stays so; any other may
/// become what it is told. True also for a status that stays as it is.
[[nodiscard]] bool may_become(PaymentStatus from, PaymentStatus to);

/// One line of an order; name and price as they were when the order was made.
struct OrderLine {
  ProductId product_id;
  std::string product_name;
  std::int64_t quantity = 0;  ///< 1 or more.
  Money price;                ///< Per unit, up to 4 decimals.

  [[nodiscard]] Money revenue() const { return price * quantity; }  ///< Exact, up to 4 decimals.
  friend bool operator==(const OrderLine&, const OrderLine&) = default;
};

/// All of an order that the analytics side may need, as it was at one version.
struct OrderImage {
  OrderId order_id;
  UserId user_id;
  std::string user_email;  ///< As it was when the order was made.
  Money total_amount;      ///< Two decimals.
  OrderStatus status = OrderStatus::kPending;
  PaymentMethod payment_method = PaymentMethod::kCreditCard;
  PaymentStatus payment_status = PaymentStatus::kPending;
  base::UtcTime created_at;  ///< When the order was made.
  std::vector<OrderLine> lines;

  /// Sum of the quantities.
  [[nodiscard]] std::int64_t items_count() const;
  friend bool operator==(const OrderImage&, const OrderImage&) = default;
};

/// Σ quantity × price, rounded half up to cents once.
[[nodiscard]] Money total_of(const std::vector<OrderLine>& lines);

/// The version of an order's next change: it strictly grows per order, and is the wall clock in ms where it
/// can be.
[[nodiscard]] std::uint64_t next_version(std::uint64_t previous, base::UtcTime now);

// Bounds of what an order may hold; the database columns and the event size follow from them.
inline constexpr std::size_t kOrderLinesMax = 2'000;
inline constexpr std::int64_t kLineQuantityMax = 1'000'000;
inline constexpr Money kAmountMax =
    Money::from_cents(99'999'999'999);  ///< DECIMAL(12,2) holds one digit more.
inline constexpr std::size_t kIdLengthMax = 36;
inline constexpr std::size_t kNameBytesMax =
    1'020;  ///< E-mails and product names: VARCHAR(255) of 4-byte characters.

// What the warehouse's columns hold; an event or row beyond it can never be loaded.
inline constexpr base::UtcTime kWarehouseTimeFirst = base::utc_from_ms(0);
/// The last second of ClickHouse's DateTime, 32 bits.
inline constexpr base::UtcTime kWarehouseTimeLast = base::utc_from_ms(4'294'967'295'999);
inline constexpr std::int64_t kItemsCountMax = 4'294'967'295;  ///< UInt32.
/// Of a line's revenue and an order's total: what a JSON number still carries exactly with four decimals, and
/// far inside of Decimal(18, 4).
inline constexpr Money kWarehouseAmountBound = Money::from_units(100'000'000'000'000);

}  // namespace millrace::domain
