// Where the connector's configuration and state are kept, for all sinks and over all restarts.
#pragma once

#include "base/deadline.h"
#include "base/result.h"
#include "connect/connector.h"
#include "ports/warehouse.h"

namespace millrace::connect {

/// Thread-safe. Errors: as ports::Warehouse.
class Registry {
 public:
  virtual ~Registry() = default;
  /// The newest revision; if there is none, the built-in connector.
  [[nodiscard]] virtual base::Result<Connector> read(base::Deadline deadline) = 0;
  /// Of two writes with the same revision one wins.
  [[nodiscard]] virtual base::Result<void> write(const Connector& connector, base::Deadline deadline) = 0;
};

/// The table analytics.connectors. The warehouse, because a sink that cannot reach it has nothing to do
/// anyway.
class WarehouseRegistry : public Registry {
 public:
  WarehouseRegistry(ports::Warehouse& warehouse, Config built_in)
      : warehouse_(warehouse), built_in_(std::move(built_in)) {}

  base::Result<Connector> read(base::Deadline deadline) override;
  base::Result<void> write(const Connector& connector, base::Deadline deadline) override;

 private:
  ports::Warehouse& warehouse_;
  const Config built_in_;
};

}  // namespace millrace::connect
