// Which payment of an order changes with it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/rows.h"
#include "domain/order.h"
#include "ports/order_store.h"

namespace millrace::adapters::mysql {

/// An order may have several payments: attempts that failed, and the one that counts, which is the latest and
/// the one that the order's image shows. A change of the order's payment status is a change of that one. One
/// caller.
class LatestPayments {
 public:
  /// A row of kOrderColumns; of one order the latest payment comes last.
  void note(Row row) {
    payments_.insert_or_assign(domain::OrderId(std::string(*row[0])),
                               Payment{std::string(row[kPaymentIdColumn].value_or("")),
                                       std::string(row[kPaymentStatusColumn].value_or(""))});
  }
  [[nodiscard]] bool knows(const domain::OrderId& order) const { return payments_.contains(order); }

  /// The id of the payment whose status the update changes; nothing if it changes none. Valid while this
  /// lives.
  [[nodiscard]] std::optional<std::string_view> changed_by(const ports::OrderUpdate& update) const {
    const auto found = payments_.find(update.id);
    if (found == payments_.end() || found->second.id.empty() ||
        found->second.status == domain::to_string(update.payment_status))
      return std::nullopt;
    return found->second.id;
  }

 private:
  struct Payment {
    std::string id;  // empty: the order has none
    std::string status;
  };
  std::map<domain::OrderId, Payment> payments_;
};

}  // namespace millrace::adapters::mysql
