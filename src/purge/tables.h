// What the purge reads and changes in the warehouse.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "base/utc_time.h"
#include "domain/order.h"
#include "ports/warehouse.h"

namespace millrace::purge {

/// A deleted order and the version of its tombstone.
struct DeletedOrder {
  domain::OrderId order_id;
  std::uint64_t version = 0;
  friend auto operator<=>(const DeletedOrder&, const DeletedOrder&) = default;
};

/// Thread-safe. Errors: as ports::Warehouse; a change that failed may have been made in part or in whole, now
/// or later. Every change may be made again at any time.
class PurgeTables {
 public:
  virtual ~PurgeTables() = default;

  /// Deleted orders whose newest row is a tombstone from before `before`, by its deleted_at and by its
  /// version (Unix ms), and that are not announced with this version. At most `orders_max`.
  [[nodiscard]] virtual base::Result<std::vector<DeletedOrder>> due(base::UtcTime before,
                                                                    std::size_t orders_max,
                                                                    base::Deadline deadline) = 0;
  /// Records that the orders are going to be removed, stamped with the warehouse's clock. From the moment it
  /// returns the sink finds the record.
  [[nodiscard]] virtual base::Result<void> announce(std::span<const DeletedOrder> orders,
                                                    base::Deadline deadline) = 0;
  /// Orders whose tombstone is still their newest row and that were announced at least `ago` ago by the
  /// warehouse's clock. At most `orders_max`.
  [[nodiscard]] virtual base::Result<std::vector<DeletedOrder>> announced(std::chrono::milliseconds ago,
                                                                          std::size_t orders_max,
                                                                          base::Deadline deadline) = 0;
  /// Removes every row of the orders that is older than the tombstone. Returns when none is left.
  [[nodiscard]] virtual base::Result<void> delete_older_versions(std::span<const DeletedOrder> orders,
                                                                 base::Deadline deadline) = 0;
  /// Removes the tombstones themselves. Returns when none is left.
  [[nodiscard]] virtual base::Result<void> delete_tombstones(std::span<const DeletedOrder> orders,
                                                             base::Deadline deadline) = 0;
};

/// orders_analytics and purged_orders of schema/warehouse/001_analytics.sql.
class WarehousePurgeTables final : public PurgeTables {
 public:
  explicit WarehousePurgeTables(ports::Warehouse& warehouse) : warehouse_(warehouse) {}

  base::Result<std::vector<DeletedOrder>> due(base::UtcTime before, std::size_t orders_max,
                                              base::Deadline deadline) override;
  base::Result<void> announce(std::span<const DeletedOrder> orders, base::Deadline deadline) override;
  base::Result<std::vector<DeletedOrder>> announced(std::chrono::milliseconds ago, std::size_t orders_max,
                                                    base::Deadline deadline) override;
  base::Result<void> delete_older_versions(std::span<const DeletedOrder> orders,
                                           base::Deadline deadline) override;
  base::Result<void> delete_tombstones(std::span<const DeletedOrder> orders,
                                       base::Deadline deadline) override;

 private:
  base::Result<std::vector<DeletedOrder>> select(std::string_view query,
                                                 std::span<const ports::QueryParameter> parameters,
                                                 base::Deadline deadline);
  ports::Warehouse& warehouse_;
};

}  // namespace millrace::purge
