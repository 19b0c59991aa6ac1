// What a batch of commands does to orders and stock, decided in memory between one round of reads and one of
// writes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/utc_time.h"
#include "domain/order_event.h"
#include "ordering/job.h"
#include "ports/order_store.h"

namespace millrace::ordering {

/// One attempt at one batch: load, decide, write, in this order, in one transaction. Commands take effect one
/// after the other; one that cannot be carried out leaves the others alone.
class Batch {
 public:
  explicit Batch(std::span<Job* const> jobs);

  /// Reads and locks all that the commands speak of: orders by id, then stock by product id, so that batches
  /// wait for each other in one direction only.
  [[nodiscard]] base::Result<void> load(ports::OrderTransaction& transaction);
  void decide(base::UtcTime now);
  [[nodiscard]] bool has_writes() const;
  [[nodiscard]] bool has_events() const { return !outbox_.empty(); }
  [[nodiscard]] base::Result<void> write(ports::OrderTransaction& transaction) const;

  /// Of the job at `index`, once decided; true only after the commit.
  [[nodiscard]] base::Result<Outcome>& result(std::size_t index) { return *results_[index]; }

 private:
  struct LoadedOrder {
    ports::StoredOrder order;
    bool is_new = false;
    bool is_changed = false;
    bool is_backfilled = false;
  };
  struct LoadedStock {
    ports::Stock stock;
    bool is_changed = false;
  };

  base::Result<Outcome> execute(const Job& job, const PlaceOrder& place, base::UtcTime now);
  base::Result<Outcome> execute(const Job& job, const ImportOrder& record, base::UtcTime now);
  base::Result<Outcome> execute(const Job& job, const ChangeOrder& change, base::UtcTime now);
  base::Result<Outcome> execute(const Job& job, const SettlePayment& payment, base::UtcTime now);
  base::Result<Outcome> execute(const Job& job, const DeleteOrder& remove, base::UtcTime now);
  base::Result<Outcome> execute(const Job& job, const BackfillOrder& backfill, base::UtcTime now);
  base::Result<Outcome> execute(const Job& job, const SetStock& set, base::UtcTime now);

  base::Result<std::vector<domain::OrderLine>> price(const PlaceOrder& place) const;
  base::Result<void> reserve(const PlaceOrder& place);
  base::Result<void> backfill(LoadedOrder& loaded, base::UtcTime now);
  base::Result<Outcome> change(LoadedOrder& loaded, domain::OrderStatus status,
                               domain::PaymentStatus payment_status, const std::string& traceparent,
                               base::UtcTime now);
  void give_back_stock(ports::StoredOrder& order);
  void add_order(ports::StoredOrder order, const std::string& traceparent, base::UtcTime now);
  void add_event(domain::OrderEvent event, base::UtcTime now);

  std::span<Job* const> jobs_;
  std::vector<std::optional<base::Result<Outcome>>> results_;

  std::unordered_map<domain::UserId, ports::User> users_;
  std::unordered_map<domain::ProductId, ports::Product> products_;
  std::unordered_map<domain::OrderId, LoadedOrder> orders_;
  std::map<domain::ProductId, LoadedStock> stock_;

  std::vector<domain::OrderId> new_orders_;  // in the order of their commands
  std::vector<ports::User> new_users_;
  std::vector<ports::Product> new_products_;
  std::vector<ports::NewOutboxRow> outbox_;
};

}  // namespace millrace::ordering
