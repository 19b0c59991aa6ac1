#include "domain/order.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::domain {
namespace {

template <class Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<OrderStatus, 8> kOrderStatuses = {{{OrderStatus::kPending, "PENDING"},
                                                   {OrderStatus::kPaymentProcessing, "PAYMENT_PROCESSING"},
                                                   {OrderStatus::kPaymentConfirmed, "PAYMENT_CONFIRMED"},
                                                   {OrderStatus::kPreparing, "PREPARING"},
                                                   {OrderStatus::kShipped, "SHIPPED"},
                                                   {OrderStatus::kDelivered, "DELIVERED"},
                                                   {OrderStatus::kCancelled, "CANCELLED"},
                                                   {OrderStatus::kRefunded, "REFUNDED"}}};
constexpr Names<PaymentStatus, 5> kPaymentStatuses = {{{PaymentStatus::kPending, "PENDING"},
                                                       {PaymentStatus::kProcessing, "PROCESSING"},
                                                       {PaymentStatus::kCompleted, "COMPLETED"},
                                                       {PaymentStatus::kFailed, "FAILED"},
                                                       {PaymentStatus::kRefunded, "REFUNDED"}}};
constexpr Names<PaymentMethod, 5> kPaymentMethods = {{{PaymentMethod::kCreditCard, "CREDIT_CARD"},
                                                      {PaymentMethod::kDebitCard, "DEBIT_CARD"},
                                                      {PaymentMethod::kBankTransfer, "BANK_TRANSFER"},
                                                      {PaymentMethod::kPaypal, "PAYPAL"},
                                                      {PaymentMethod::kCash, "CASH"}}};

template <class Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [candidate, name] : names)
    if (candidate == value) return name;
  return "?";
}

template <class Enum, std::size_t N>
base::Result<Enum> value_of(const Names<Enum, N>& names, std::string_view what, std::string_view text) {
  const std::string upper = base::to_upper(text);
  std::string list;
  for (const auto& [value, name] : names) {
    if (upper == name) return value;
    if (!list.empty()) list += ", ";
    list += name;
  }
  return base::invalid(fmt::format("'{}' is not {}; use one of {}", base::printable(text, 40), what, list));
}

}  // namespace

std::string_view to_string(OrderStatus status) {
  return name_of(kOrderStatuses, status);
}
std::string_view to_string(PaymentStatus status) {
  return name_of(kPaymentStatuses, status);
}
std::string_view to_string(PaymentMethod method) {
  return name_of(kPaymentMethods, method);
}

base::Result<OrderStatus> parse_order_status(std::string_view text) {
  const std::string upper = base::to_upper(text);
  if (upper == "PROCESSING") return OrderStatus::kPreparing;
  if (upper == "COMPLETED") return OrderStatus::kDelivered;
  return value_of(kOrderStatuses, "an order status", text);
}
base::Result<PaymentStatus> parse_payment_status(std::string_view text) {
  return value_of(kPaymentStatuses, "a payment status", text);
}
base::Result<PaymentMethod> parse_payment_method(std::string_view text) {
  return value_of(kPaymentMethods, "a payment method", text);
}

bool counts_as_sale(OrderStatus status) {
  return status != OrderStatus::kCancelled && status != OrderStatus::kRefunded;
}

bool may_become(PaymentStatus from, PaymentStatus to) {
  if (from == to) return true;
  if (from == PaymentStatus::kCompleted) return to == PaymentStatus::kRefunded;
  return from != PaymentStatus::kRefunded;
}

std::int64_t OrderImage::items_count() const {
  std::int64_t count = 0;
  for (const OrderLine& line : lines) count += line.quantity;
  return count;
}

Money total_of(const std::vector<OrderLine>& lines) {
  Money total;
  for (const OrderLine& line : lines) total += line.revenue();
  return total.rounded_to_cents();
}

std::uint64_t next_version(std::uint64_t previous, base::UtcTime now) {
  return std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(base::to_ms(now), 0)), previous + 1);
}

}  // namespace millrace::domain
