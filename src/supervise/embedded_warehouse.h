// The program millrace-warehouse, started and kept by us.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "supervise/supervisor.h"

namespace millrace::supervise {

struct EmbeddedWarehouseOptions {
  std::filesystem::path
      directory;  ///< Of our own: data and log. Made if it is not there; one instance uses it at a time.
  std::filesystem::path program;  ///< Empty: millrace-warehouse beside the running program.
  std::string host = "127.0.0.1";
  std::uint16_t port = 8123;
  std::string user = "admin";
  std::string password;     ///< Handed over by a descriptor, so that nothing of the system shows it.
  bool unconfined = false;  ///< --unconfined.
  std::vector<std::string> extra_arguments;
  std::vector<std::pair<std::string, std::string>> environment;
};

/// One caller. Nothing of it survives this process, however that ends.
class EmbeddedWarehouse {
 public:
  explicit EmbeddedWarehouse(EmbeddedWarehouseOptions options);
  ~EmbeddedWarehouse();

  /// Starts it and waits until GET /ping is answered. Errors: kNotFound (no such program: build it),
  /// kConflict (the port belongs to another program, or the directory to another instance), kFatal (with the
  /// log's last errors).
  [[nodiscard]] base::Result<void> start(base::Deadline deadline);
  void stop();
  [[nodiscard]] ServiceStatus status() const;
  [[nodiscard]] std::filesystem::path log_file() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::supervise
