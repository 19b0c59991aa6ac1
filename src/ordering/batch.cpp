#include "ordering/batch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/text.h"
#include "ordering/command_checks.h"

namespace millrace::ordering {
namespace {

constexpr std::string_view kBackfillAdminId = "backfill";  // who deleted an order is not known afterwards

/// Locks the orders. Those that no event has told of yet may come from a program that does not copy names
/// into them: they are completed first.
base::Result<std::vector<ports::StoredOrder>> lock_orders(ports::OrderTransaction& transaction,
                                                          std::span<const domain::OrderId> ids) {
  MILLRACE_TRY_ASSIGN(auto found, transaction.lock_orders(ids));
  std::vector<domain::OrderId> incomplete;
  for (const ports::StoredOrder& order : found) {
    const bool nameless = order.image.user_email.empty() ||
                          std::ranges::any_of(order.image.lines, [](const domain::OrderLine& line) {
                            return line.product_name.empty();
                          });
    if (order.version == 0 && nameless) incomplete.push_back(order.image.order_id);
  }
  if (incomplete.empty()) return found;
  MILLRACE_TRY(transaction.fill_copied_names(incomplete));
  return transaction.lock_orders(ids);
}

/// With as many decimals as it needs, two at least.
std::string shown(domain::Money amount) {
  return amount.has_only_cents() ? amount.text2() : amount.text4();
}

std::string shown(const std::string& id) {
  return base::printable(id, domain::kIdLengthMax);
}

base::Result<void> check_expected(const ChangeOrder& change, const domain::OrderImage& image) {
  if (!change.expected_status || *change.expected_status == image.status) return {};
  return base::conflict(fmt::format("order {} is {}, not {}", shown(change.order_id.value()),
                                    domain::to_string(image.status),
                                    domain::to_string(*change.expected_status)));
}

/// An order that is not deleted takes payments while it is a sale; an amount and a method must be its own.
base::Result<void> check_payment(const SettlePayment& payment, const domain::OrderImage& image) {
  if (payment.amount && *payment.amount != image.total_amount)
    return base::invalid(fmt::format("the amount must be the order's total, {}", image.total_amount.text2()));
  if (payment.method && *payment.method != image.payment_method)
    return base::conflict(
        fmt::format("the order is to be paid by {}", domain::to_string(image.payment_method)));
  if (!domain::counts_as_sale(image.status))
    return base::conflict(fmt::format("the order is {} and cannot be paid", domain::to_string(image.status)));
  if (image.payment_status == domain::PaymentStatus::kCompleted ||
      image.payment_status == domain::PaymentStatus::kRefunded)
    return base::conflict(
        fmt::format("the order's payment is {} already", domain::to_string(image.payment_status)));
  return {};
}

base::Result<domain::Money> exact_total(const std::vector<domain::OrderLine>& lines) {
  // Wider than Money, whose product of a large price and a large quantity could pass its range.
  __extension__ __int128 units = 0;
  for (const domain::OrderLine& line : lines)
    units += static_cast<__int128_t>(line.price.units()) * line.quantity;
  if (units > domain::kAmountMax.units())
    return base::invalid(fmt::format("an order can be worth at most {}", domain::kAmountMax.text2()));
  return domain::total_of(lines);
}

}  // namespace

Batch::Batch(std::span<Job* const> jobs) : jobs_(jobs), results_(jobs.size()) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    base::Result<void> checked = check(jobs[i]->command);
    if (!checked) results_[i] = std::unexpected(std::move(checked).error());
  }
}

base::Result<void> Batch::load(ports::OrderTransaction& transaction) {
  std::set<domain::UserId> users;
  std::set<domain::ProductId> products;
  std::set<domain::ProductId> stock;
  std::set<domain::OrderId> orders;
  std::set<domain::OrderId> orders_to_change;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (results_[i]) continue;
    const Job& job = *jobs_[i];
    if (const auto* place = std::get_if<PlaceOrder>(&job.command)) {
      users.insert(place->user_id);
      for (const OrderItemRequest& item : place->items) products.insert(item.product_id);
      if (job.version_maybe_committed) orders.insert(job.order_id);
    } else if (const auto* set = std::get_if<SetStock>(&job.command)) {
      stock.insert(set->product_id);
    } else {
      orders.insert(job.order_id);
      if (!std::holds_alternative<ImportOrder>(job.command)) orders_to_change.insert(job.order_id);
    }
  }

  if (!users.empty()) {
    const std::vector<domain::UserId> ids(users.begin(), users.end());
    MILLRACE_TRY_ASSIGN(auto found, transaction.users(ids));
    for (ports::User& user : found) users_.emplace(user.id, std::move(user));
  }
  if (!products.empty()) {
    const std::vector<domain::ProductId> ids(products.begin(), products.end());
    MILLRACE_TRY_ASSIGN(auto found, transaction.products(ids));
    for (ports::Product& product : found) products_.emplace(product.id, std::move(product));
    for (const auto& [id, product] : products_) stock.insert(id);
  }
  if (!orders.empty()) {
    const std::vector<domain::OrderId> ids(orders.begin(), orders.end());
    MILLRACE_TRY_ASSIGN(auto found, lock_orders(transaction, ids));
    for (ports::StoredOrder& order : found) {
      if (order.stock_reserved && orders_to_change.contains(order.image.order_id))
        for (const domain::OrderLine& line : order.image.lines) stock.insert(line.product_id);
      const domain::OrderId id = order.image.order_id;
      orders_.emplace(id, LoadedOrder{.order = std::move(order)});
    }
  }
  if (!stock.empty()) {
    const std::vector<domain::ProductId> ids(stock.begin(), stock.end());
    MILLRACE_TRY_ASSIGN(auto found, transaction.lock_stock(ids));
    for (ports::Stock& row : found) stock_.emplace(row.product_id, LoadedStock{.stock = row});
  }
  return {};
}

void Batch::decide(base::UtcTime now) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (results_[i]) continue;
    const Job& job = *jobs_[i];
    results_[i] = std::visit([&](const auto& command) { return execute(job, command, now); }, job.command);
  }
}

base::Result<Outcome> Batch::execute(const Job& job, const PlaceOrder& place, base::UtcTime now) {
  // Only looked for after a lost answer: the order was committed after all.
  if (const auto loaded = orders_.find(job.order_id); loaded != orders_.end())
    return Outcome{.order = loaded->second.order};

  const auto user = users_.find(place.user_id);
  if (user == users_.end())
    return base::not_found(fmt::format("user '{}' is not known", shown(place.user_id.value())));
  ports::StoredOrder order;
  order.image.order_id = job.order_id;
  order.image.user_id = place.user_id;
  order.image.user_email = user->second.email;
  order.image.status = place.status.value_or(domain::OrderStatus::kPending);
  order.image.payment_method = place.payment_method.value_or(domain::PaymentMethod::kCreditCard);
  order.image.payment_status = domain::PaymentStatus::kPending;
  order.image.created_at = now;
  MILLRACE_TRY_ASSIGN(order.image.lines, price(place));
  MILLRACE_TRY_ASSIGN(order.image.total_amount, exact_total(order.image.lines));
  if (place.expected_total && *place.expected_total != order.image.total_amount)
    return base::invalid(
        fmt::format("the total is {} by the catalogue's prices, not {}: send that, or leave it out",
                    order.image.total_amount.text2(), place.expected_total->text2()));
  order.shipping_address = place.shipping_address;
  order.updated_at = now;
  if (domain::counts_as_sale(order.image.status)) {
    MILLRACE_TRY(reserve(place));
    order.stock_reserved = true;
  }
  add_order(std::move(order), place.traceparent, now);
  return Outcome{.order = orders_.at(job.order_id).order};
}

base::Result<std::vector<domain::OrderLine>> Batch::price(const PlaceOrder& place) const {
  std::vector<domain::OrderLine> lines;
  lines.reserve(place.items.size());
  for (const OrderItemRequest& item : place.items) {
    const auto product = products_.find(item.product_id);
    if (product == products_.end())
      return base::not_found(fmt::format("product '{}' is not known", shown(item.product_id.value())));
    if (!product->second.is_active)
      return base::invalid(fmt::format("product '{}' is no longer sold", shown(item.product_id.value())));
    if (item.expected_price && *item.expected_price != product->second.price)
      return base::invalid(fmt::format("the price of product '{}' is {}, not {}: send that, or leave it out",
                                       shown(item.product_id.value()), shown(product->second.price),
                                       shown(*item.expected_price)));
    lines.push_back({.product_id = item.product_id,
                     .product_name = product->second.name,
                     .quantity = item.quantity,
                     .price = product->second.price});
  }
  return lines;
}

base::Result<void> Batch::reserve(const PlaceOrder& place) {
  // Lines of the same product stay as the customer sent them; the stock must hold their sum.
  std::map<domain::ProductId, std::int64_t> asked;
  for (const OrderItemRequest& item : place.items) asked[item.product_id] += item.quantity;
  for (const auto& [product_id, quantity] : asked) {
    const auto loaded = stock_.find(product_id);
    const std::int64_t left =
        loaded == stock_.end() ? 0 : std::max<std::int64_t>(loaded->second.stock.available(), 0);
    if (quantity > left)
      return base::conflict(
          fmt::format("product {}: {} asked, {} left", shown(product_id.value()), quantity, left));
  }
  for (const auto& [product_id, quantity] : asked) {
    LoadedStock& loaded = stock_.at(product_id);
    loaded.stock.reserved += quantity;
    loaded.is_changed = true;
  }
  return {};
}

base::Result<Outcome> Batch::execute(const Job& job, const ImportOrder& record, base::UtcTime now) {
  if (const auto loaded = orders_.find(job.order_id); loaded != orders_.end())
    return Outcome{.order = loaded->second.order,
                   .changed = job.version_maybe_committed == loaded->second.order.version};
  ports::StoredOrder order = record.order;
  order.stock_reserved = false;
  new_users_.push_back(record.user);
  new_products_.insert(new_products_.end(), record.products.begin(), record.products.end());
  add_order(std::move(order), "", now);
  return Outcome{.order = orders_.at(job.order_id).order};
}

base::Result<Outcome> Batch::execute(const Job& job, const ChangeOrder& change, base::UtcTime now) {
  const auto found = orders_.find(change.order_id);
  if (found == orders_.end())
    return base::not_found(fmt::format("order '{}' is not known", shown(change.order_id.value())));
  LoadedOrder& loaded = found->second;
  domain::OrderImage& image = loaded.order.image;
  if (loaded.order.deleted_at)
    return base::conflict(fmt::format("order {} was deleted", shown(change.order_id.value())));

  const domain::PaymentStatus payment_status = change.payment_status.value_or(image.payment_status);
  if (image.status == change.status && image.payment_status == payment_status) {
    if (job.version_maybe_committed == loaded.order.version) return Outcome{.order = loaded.order};
    MILLRACE_TRY(check_expected(change, image));
    return Outcome{.order = loaded.order, .changed = false};
  }
  MILLRACE_TRY(check_expected(change, image));
  return this->change(loaded, change.status, payment_status, change.traceparent, now);
}

base::Result<Outcome> Batch::execute(const Job& job, const SettlePayment& payment, base::UtcTime now) {
  const auto found = orders_.find(payment.order_id);
  // To whoever pays, a deleted order is not there, as for reads.
  if (found == orders_.end() || found->second.order.deleted_at)
    return base::not_found(fmt::format("order '{}' is not known", shown(payment.order_id.value())));
  LoadedOrder& loaded = found->second;
  const domain::OrderImage& image = loaded.order.image;
  if (job.version_maybe_committed == loaded.order.version) return Outcome{.order = loaded.order};
  MILLRACE_TRY(check_payment(payment, image));
  if (image.payment_status == payment.status) return Outcome{.order = loaded.order, .changed = false};
  const bool awaits_payment = image.status == domain::OrderStatus::kPending ||
                              image.status == domain::OrderStatus::kPaymentProcessing;
  const bool confirms = awaits_payment && payment.status == domain::PaymentStatus::kCompleted;
  return change(loaded, confirms ? domain::OrderStatus::kPaymentConfirmed : image.status, payment.status,
                payment.traceparent, now);
}

/// Writes the states and their event. Every change of an order's status or payment goes through here, with
/// the order's row locked.
base::Result<Outcome> Batch::change(LoadedOrder& loaded, domain::OrderStatus status,
                                    domain::PaymentStatus payment_status, const std::string& traceparent,
                                    base::UtcTime now) {
  domain::OrderImage& image = loaded.order.image;
  // Its stock may be promised to others by now.
  if (!domain::counts_as_sale(image.status) && domain::counts_as_sale(status))
    return base::conflict(fmt::format("order {} is {} and cannot become {}: place a new one",
                                      shown(image.order_id.value()), domain::to_string(image.status),
                                      domain::to_string(status)));
  if (!domain::may_become(image.payment_status, payment_status))
    return base::conflict(fmt::format("the payment of order {} is {} and cannot become {}",
                                      shown(image.order_id.value()), domain::to_string(image.payment_status),
                                      domain::to_string(payment_status)));

  MILLRACE_TRY(backfill(loaded, now));
  domain::OrderEvent event;
  event.type = domain::OrderEventType::kStatusChanged;
  event.before = image;
  image.status = status;
  image.payment_status = payment_status;
  if (!domain::counts_as_sale(image.status)) give_back_stock(loaded.order);
  loaded.order.version = domain::next_version(loaded.order.version, now);
  loaded.order.updated_at = now;
  loaded.is_changed = true;
  event.version = loaded.order.version;
  event.occurred_at = now;
  event.after = image;
  event.traceparent = traceparent;
  add_event(std::move(event), now);
  return Outcome{.order = loaded.order};
}

base::Result<Outcome> Batch::execute(const Job& job, const DeleteOrder& remove, base::UtcTime now) {
  const auto found = orders_.find(remove.order_id);
  if (found == orders_.end())
    return base::not_found(fmt::format("order '{}' is not known", shown(remove.order_id.value())));
  LoadedOrder& loaded = found->second;
  if (loaded.order.deleted_at)
    return Outcome{.order = loaded.order, .changed = job.version_maybe_committed == loaded.order.version};

  MILLRACE_TRY(backfill(loaded, now));
  give_back_stock(loaded.order);
  loaded.order.version = domain::next_version(loaded.order.version, now);
  loaded.order.updated_at = now;
  loaded.order.deleted_at = now;
  loaded.is_changed = true;
  domain::OrderEvent event;
  event.type = domain::OrderEventType::kDeleted;
  event.version = loaded.order.version;
  event.occurred_at = now;
  event.before = loaded.order.image;
  event.deleted_by = remove.admin_id;
  event.traceparent = remove.traceparent;
  add_event(std::move(event), now);
  return Outcome{.order = loaded.order};
}

base::Result<Outcome> Batch::execute(const Job& job, const BackfillOrder& order, base::UtcTime now) {
  const auto found = orders_.find(order.order_id);
  if (found == orders_.end())
    return base::not_found(fmt::format("order '{}' is not known", shown(order.order_id.value())));
  LoadedOrder& loaded = found->second;
  if (loaded.order.version != 0)
    return Outcome{.order = loaded.order, .changed = job.version_maybe_committed == loaded.order.version};
  MILLRACE_TRY(backfill(loaded, now));
  return Outcome{.order = loaded.order};
}

base::Result<Outcome> Batch::execute(const Job& /*job*/, const SetStock& set, base::UtcTime now) {
  const auto found = stock_.find(set.product_id);
  if (found == stock_.end())
    return base::not_found(fmt::format("stock of product '{}' is not known", shown(set.product_id.value())));
  LoadedStock& loaded = found->second;
  if (set.quantity < loaded.stock.reserved)
    return base::conflict(fmt::format("product {}: {} are reserved by orders, so the stock cannot be {}",
                                      shown(set.product_id.value()), loaded.stock.reserved, set.quantity));
  const bool changed = loaded.stock.quantity != set.quantity;
  if (changed) {
    loaded.stock.quantity = set.quantity;
    loaded.stock.updated_at = now;
    loaded.is_changed = true;
  }
  return Outcome{.order = {}, .changed = changed, .stock = loaded.stock};
}

/// An order from before the pipeline was never counted, so its later events would have nothing to subtract
/// from: its first event is its creation, as it stands. What other programs wrote may break the rules of an
/// event: such an order is refused here, where somebody sees it, and not as a dead letter.
base::Result<void> Batch::backfill(LoadedOrder& loaded, base::UtcTime now) {
  ports::StoredOrder& order = loaded.order;
  if (order.version != 0) return {};
  domain::OrderEvent event;
  event.type = domain::OrderEventType::kCreated;
  event.version = domain::next_version(order.version, now);
  event.occurred_at = now;
  event.after = order.image;
  if (const auto readable = domain::parse_order_event(domain::to_json(event)); !readable)
    return base::invalid(fmt::format("order {} cannot be backfilled as it stands: {}",
                                     shown(order.image.order_id.value()), readable.error().message));
  order.version = event.version;
  loaded.is_backfilled = true;
  add_event(std::move(event), now);
  if (!order.deleted_at) return {};
  order.version = domain::next_version(order.version, now);
  domain::OrderEvent deletion;
  deletion.type = domain::OrderEventType::kDeleted;
  deletion.version = order.version;
  deletion.occurred_at = now;
  deletion.deleted_at = order.deleted_at;
  deletion.before = order.image;
  deletion.deleted_by = kBackfillAdminId;
  add_event(std::move(deletion), now);
  return {};
}

void Batch::give_back_stock(ports::StoredOrder& order) {
  if (!std::exchange(order.stock_reserved, false)) return;
  for (const domain::OrderLine& line : order.image.lines) {
    const auto loaded = stock_.find(line.product_id);
    if (loaded == stock_.end()) continue;  // the product's stock row was removed by hand
    loaded->second.stock.reserved = std::max<std::int64_t>(loaded->second.stock.reserved - line.quantity, 0);
    loaded->second.is_changed = true;
  }
}

void Batch::add_order(ports::StoredOrder order, const std::string& traceparent, base::UtcTime now) {
  order.version = domain::next_version(0, now);
  domain::OrderEvent event;
  event.type = domain::OrderEventType::kCreated;
  event.version = order.version;
  event.occurred_at = now;
  event.after = order.image;
  event.traceparent = traceparent;
  add_event(std::move(event), now);
  new_orders_.push_back(order.image.order_id);
  const domain::OrderId id = order.image.order_id;
  orders_.emplace(id, LoadedOrder{.order = std::move(order), .is_new = true});
}

void Batch::add_event(domain::OrderEvent event, base::UtcTime now) {
  outbox_.push_back({.aggregate_id = event.image().order_id.value(),
                     .aggregate_type = "Order",
                     .event_type = std::string(domain::to_string(event.type)),
                     .payload = domain::to_json(event),
                     .created_at = now});
}

base::Result<void> Batch::write(ports::OrderTransaction& transaction) const {
  if (!new_users_.empty()) MILLRACE_TRY(transaction.insert_missing_users(new_users_));
  if (!new_products_.empty()) MILLRACE_TRY(transaction.insert_missing_products(new_products_));
  if (!new_orders_.empty()) {
    std::vector<ports::StoredOrder> rows;
    rows.reserve(new_orders_.size());
    for (const domain::OrderId& id : new_orders_) rows.push_back(orders_.at(id).order);
    MILLRACE_TRY(transaction.insert_orders(rows));
  }
  std::vector<ports::OrderUpdate> updates;
  std::vector<ports::OrderVersion> versions;
  for (const auto& [id, loaded] : orders_) {
    if (loaded.is_backfilled && !loaded.is_changed)
      versions.push_back({.id = id, .version = loaded.order.version});
    if (loaded.is_new || !loaded.is_changed) continue;
    updates.push_back({.id = id,
                       .status = loaded.order.image.status,
                       .payment_status = loaded.order.image.payment_status,
                       .version = loaded.order.version,
                       .updated_at = loaded.order.updated_at,
                       .deleted_at = loaded.order.deleted_at,
                       .stock_reserved = loaded.order.stock_reserved});
  }
  if (!updates.empty()) MILLRACE_TRY(transaction.update_orders(updates));
  if (!versions.empty()) MILLRACE_TRY(transaction.set_versions(versions));
  std::vector<ports::Stock> stock;
  for (const auto& [id, loaded] : stock_)
    if (loaded.is_changed) stock.push_back(loaded.stock);
  if (!stock.empty()) MILLRACE_TRY(transaction.set_stock(stock));
  if (outbox_.empty()) return {};
  return transaction.append_outbox(outbox_);
}

bool Batch::has_writes() const {
  return has_events() ||
         std::ranges::any_of(stock_, [](const auto& entry) { return entry.second.is_changed; });
}

}  // namespace millrace::ordering
