// Port OrderStore over the MySQL protocol.
#pragma once

#include <memory>

#include "adapters/mysql/server_address.h"
#include "ports/order_store.h"

namespace millrace::adapters::mysql {

struct OrderStoreOptions {
  std::size_t connections_max = 8;  ///< More gained nothing when measured.
};

/// Thread-safe. Connects when first used, so it can be made before the server is up. Outlives its
/// transactions.
class MysqlOrderStore final : public ports::OrderStore {
 public:
  explicit MysqlOrderStore(ServerAddress address, OrderStoreOptions options = {});
  ~MysqlOrderStore() override;

  base::Result<std::unique_ptr<ports::OrderTransaction>> begin(base::Deadline deadline) override;
  base::Result<ports::StoredOrder> order(const domain::OrderId& id, base::Deadline deadline) override;
  base::Result<std::vector<ports::StoredOrder>> orders_of_user(const domain::UserId& user,
                                                               std::size_t count_max,
                                                               base::Deadline deadline) override;
  base::Result<std::vector<domain::OrderId>> orders_to_backfill(const domain::OrderId& after,
                                                                std::size_t count_max,
                                                                base::Deadline deadline) override;
  base::Result<std::uint64_t> count_orders_to_backfill(base::Deadline deadline) override;
  base::Result<std::vector<ports::StoredOrder>> orders_after(const domain::OrderId& after,
                                                             std::size_t count_max,
                                                             base::Deadline deadline) override;
  base::Result<std::vector<ports::Product>> all_products(base::Deadline deadline) override;
  base::Result<ports::Product> product(const domain::ProductId& id, base::Deadline deadline) override;
  base::Result<std::vector<ports::Product>> products_in_category(const std::string& category,
                                                                 base::Deadline deadline) override;
  base::Result<std::vector<ports::User>> all_users(std::size_t count_max, base::Deadline deadline) override;
  base::Result<ports::User> user(const domain::UserId& id, base::Deadline deadline) override;
  base::Result<ports::User> user_by_email(const std::string& email, base::Deadline deadline) override;
  base::Result<ports::Stock> stock(const domain::ProductId& id, base::Deadline deadline) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::adapters::mysql
