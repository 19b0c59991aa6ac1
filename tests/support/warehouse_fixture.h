// The program millrace-warehouse as a process of the test program's own, with the schema of the warehouse.
#pragma once

#include <memory>
#include <string>

#include "ports/warehouse.h"

namespace millrace::support {

/// Starts it on a free port with data in a temporary directory, and waits until it answers; kill -9 at the
/// end (also when the test program is killed). Throws std::runtime_error with its log when it does not come
/// up.
class WarehouseServer {
 public:
  WarehouseServer();
  ~WarehouseServer();
  WarehouseServer(const WarehouseServer&) = delete;
  WarehouseServer& operator=(const WarehouseServer&) = delete;

  /// "http://127.0.0.1:port"; user admin, password test123.
  [[nodiscard]] std::string url() const;

  /// kill -9, then a start on the same data and port. Throws as the constructor.
  void kill_and_restart();

  /// Runs all statements of schema/warehouse. Throws on errors.
  static void create_schema(ports::Warehouse& warehouse);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::support
