// Stage 1: a command becomes order rows and an outbox row in one transaction, many commands to a transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/utc_time.h"
#include "domain/order.h"
#include "ports/clock.h"
#include "ports/order_store.h"
#include "telemetry/tracer.h"

namespace millrace::ordering {

struct OrderItemRequest {
  domain::ProductId product_id;
  std::int64_t quantity = 0;
  /// Per unit. If given and not what the catalogue says: kInvalid.
  std::optional<domain::Money> expected_price = std::nullopt;
};

/// An order of a customer: prices come from the catalogue, stock is checked and reserved.
struct PlaceOrder {
  domain::UserId user_id;
  std::vector<OrderItemRequest> items;
  std::string shipping_address;
  std::optional<domain::OrderStatus> status;  ///< PENDING by default.
  std::optional<domain::PaymentMethod> payment_method;
  std::optional<domain::Money> expected_total;  ///< If given and not what the catalogue says: kInvalid.
  std::string traceparent = {};
};

/// An order from another system's history: taken as it is, neither stock nor catalogue prices are checked;
/// its user and products are made where they are missing. One that exists already stays as it is.
struct ImportOrder {
  ports::User user;
  std::vector<ports::Product> products;
  ports::StoredOrder order;
};

/// Sets the status, and the payment's status with it. A state that is already so changes nothing and sends no
/// event. kConflict for a payment that domain::may_become does not allow.
struct ChangeOrder {
  domain::OrderId order_id;
  domain::OrderStatus status = domain::OrderStatus::kPending;
  std::optional<domain::PaymentStatus> payment_status = std::nullopt;
  std::string traceparent = {};
  /// If given and the order has another status: kConflict.
  std::optional<domain::OrderStatus> expected_status = std::nullopt;
};

/// What came of a payment: decided on the order as it stands under its row lock, never on an earlier read.
/// Completed: an order that awaits payment becomes PAYMENT_CONFIRMED, one that is on its way keeps its
/// status. Failed: the order keeps its status. A payment that failed already and fails again changes nothing.
struct SettlePayment {
  domain::OrderId order_id;
  domain::PaymentStatus status = domain::PaymentStatus::kCompleted;  ///< COMPLETED or FAILED.
  std::optional<domain::Money> amount = std::nullopt;  ///< If given and not the order's total: kInvalid.
  std::optional<domain::PaymentMethod> method = std::nullopt;  ///< If given and not the order's: kConflict.
  std::string traceparent = {};
};

/// Soft delete; reserved stock is given back. An order that is deleted already stays so and sends no event.
struct DeleteOrder {
  domain::OrderId order_id;
  std::string admin_id;
  std::string traceparent = {};
};

/// Sends the event of an order that was there before the pipeline: its creation, as the order stands, and its
/// deletion if it is deleted. One that has been backfilled already stays as it is.
struct BackfillOrder {
  domain::OrderId order_id;
};

/// Sets what is on the shelf. Less than is reserved: kConflict. Sends no event: no order changes.
struct SetStock {
  domain::ProductId product_id;
  std::int64_t quantity = 0;  ///< 0 or more.
};

using Command =
    std::variant<PlaceOrder, ImportOrder, ChangeOrder, SettlePayment, DeleteOrder, BackfillOrder, SetStock>;

struct Outcome {
  ports::StoredOrder order;  ///< As it is after the command; empty for SetStock.
  bool changed = true;       ///< False: it was so already, nothing was written.
  /// As it is after SetStock, else nothing.
  std::optional<ports::Stock> stock = std::nullopt;
};

/// Errors: kInvalid (input), kNotFound (user, product or order), kConflict (not enough stock, order deleted),
/// kUnavailable (the database is unavailable or the queue is full; nothing was written, or the answer was
/// lost).
using OnDone = std::function<void(base::Result<Outcome>)>;

struct Options {
  std::size_t writers = 1;              ///< Threads, each with one connection.
  std::size_t batch_commands_max = 64;  ///< Commands to one transaction.
  std::size_t queue_commands_max = 4096;
  std::chrono::milliseconds command_timeout{10'000};  ///< From submit to outcome.
  telemetry::Tracer tracer = {};                      ///< Of the transactions, for each command.
};

/// Group commit: each writer thread takes whatever is queued (no timer: an idle system makes batches of one),
/// commits it in one transaction, and only then reports. A batch that fails is tried again command by
/// command, so one bad command hurts no other. Thread-safe. The destructor drains the queue to its deadline
/// and joins the threads.
class OrderService {
 public:
  /// `on_committed` is called after every commit that wrote outbox rows, on a writer thread: it wakes the
  /// relay.
  OrderService(ports::OrderStore& store, const ports::Clock& clock, Options options,
               std::function<void()> on_committed);
  ~OrderService();
  OrderService(const OrderService&) = delete;
  OrderService& operator=(const OrderService&) = delete;

  /// Queues the command; `done` is called exactly once, on a writer thread (or at once on the caller's, when
  /// the queue is full or the service is stopping). Commands of one order submitted one after the other are
  /// carried out in that order only if the later is submitted after the earlier's outcome.
  void submit(Command command, OnDone done);

  /// Commands that wait for a writer. Any thread.
  [[nodiscard]] std::size_t queued() const;

  /// Refuses new commands and finishes the queued ones.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::ordering
