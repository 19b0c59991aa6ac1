#include "ordering/command_checks.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::ordering {
namespace {

constexpr std::int64_t kStockMax = 1'000'000'000'000;  // far from where sums of reservations could overflow
constexpr std::size_t kAddressLengthMax = 1'000;       // characters of orders.shipping_address

base::Result<void> check_id(std::string_view what, const std::string& id) {
  if (!id.empty() && id.size() <= domain::kIdLengthMax && base::is_utf8(id)) return {};
  return base::invalid(fmt::format("{} must be text of 1 to {} bytes", what, domain::kIdLengthMax));
}

base::Result<void> check_quantity(std::size_t line, std::int64_t quantity) {
  if (quantity >= 1 && quantity <= domain::kLineQuantityMax) return {};
  return base::invalid(fmt::format("the quantity of line {} must be from 1 to {}, not {}", line + 1,
                                   domain::kLineQuantityMax, quantity));
}

base::Result<void> check_line_count(std::size_t lines) {
  if (lines >= 1 && lines <= domain::kOrderLinesMax) return {};
  return base::invalid(
      fmt::format("an order must have 1 to {} lines, not {}", domain::kOrderLinesMax, lines));
}

base::Result<void> check_address(const std::string& address) {
  // Bytes that start a character, as the column counts characters.
  const auto characters =
      std::ranges::count_if(address, [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; });
  if (base::is_utf8(address) && static_cast<std::size_t>(characters) <= kAddressLengthMax) return {};
  return base::invalid(
      fmt::format("the shipping address must be text of at most {} characters", kAddressLengthMax));
}

base::Result<void> check_command(const PlaceOrder& place) {
  MILLRACE_TRY(check_id("the user id", place.user_id.value()));
  MILLRACE_TRY(check_line_count(place.items.size()));
  for (std::size_t i = 0; i < place.items.size(); ++i) {
    MILLRACE_TRY(
        check_id(fmt::format("the product id of line {}", i + 1), place.items[i].product_id.value()));
    MILLRACE_TRY(check_quantity(i, place.items[i].quantity));
  }
  return check_address(place.shipping_address);
}

base::Result<void> check_command(const ImportOrder& record) {
  const domain::OrderImage& image = record.order.image;
  MILLRACE_TRY(check_id("the order id", image.order_id.value()));
  MILLRACE_TRY(check_id("the user id", image.user_id.value()));
  if (record.user.id != image.user_id)
    return base::invalid("the recorded order is of another user than the one given with it");
  if (record.order.deleted_at)
    return base::invalid("an order is recorded as it was made; delete it by a command of its own");
  MILLRACE_TRY(check_line_count(image.lines.size()));
  for (std::size_t i = 0; i < image.lines.size(); ++i) {
    MILLRACE_TRY(
        check_id(fmt::format("the product id of line {}", i + 1), image.lines[i].product_id.value()));
    MILLRACE_TRY(check_quantity(i, image.lines[i].quantity));
  }
  return check_address(record.order.shipping_address);
}

base::Result<void> check_command(const ChangeOrder& change) {
  return check_id("the order id", change.order_id.value());
}

base::Result<void> check_command(const SettlePayment& payment) {
  if (payment.status != domain::PaymentStatus::kCompleted && payment.status != domain::PaymentStatus::kFailed)
    return base::invalid("a payment is settled as COMPLETED or FAILED");
  return check_id("the order id", payment.order_id.value());
}

base::Result<void> check_command(const DeleteOrder& remove) {
  if (remove.admin_id.empty())
    return base::invalid("deleting an order needs the id of the admin who does it");
  return check_id("the order id", remove.order_id.value());
}

base::Result<void> check_command(const BackfillOrder& backfill) {
  return check_id("the order id", backfill.order_id.value());
}

base::Result<void> check_command(const SetStock& set) {
  if (set.quantity < 0 || set.quantity > kStockMax)
    return base::invalid(fmt::format("the quantity in stock must be from 0 to {}", kStockMax));
  return check_id("the product id", set.product_id.value());
}

}  // namespace

base::Result<void> check(const Command& command) {
  return std::visit([](const auto& one) { return check_command(one); }, command);
}

}  // namespace millrace::ordering
