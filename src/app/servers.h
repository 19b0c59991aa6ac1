// The embedded servers that `up` starts and supervises.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/settings.h"
#include "app/summary.h"
#include "base/result.h"
#include "supervise/private_kafka.h"
#include "supervise/private_mariadb.h"
#include "supervise/private_warehouse.h"

namespace millrace::app {

/// One caller. Stops what it started when destroyed.
class Servers {
 public:
  /// Starts those that the settings call embedded, side by side, and waits until they answer. Errors:
  /// kConflict (port taken, or its directory in use), kNotFound (a program is missing), kInvalid (settings
  /// that an embedded server cannot follow), kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Servers>> start(const Settings& settings);

  /// One line for each, for the summary.
  [[nodiscard]] std::vector<SummaryLine> states() const;
  /// Cleanly, side by side.
  void stop();

 private:
  Servers() = default;
  std::unique_ptr<supervise::PrivateMariadb> mariadb_;
  std::unique_ptr<supervise::PrivateWarehouse> warehouse_;
  std::unique_ptr<supervise::PrivateKafka> kafka_;
};

}  // namespace millrace::app
