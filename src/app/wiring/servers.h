// The embedded servers that `up` starts and supervises.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/config/settings.h"
#include "app/local/status_file.h"
#include "app/wiring/summary.h"
#include "base/result.h"
#include "supervise/embedded_kafka.h"
#include "supervise/embedded_mariadb.h"
#include "supervise/embedded_warehouse.h"

namespace millrace::app {

/// One caller. Stops what it started when destroyed.
class Servers {
 public:
  /// Errors: kInvalid (settings that an embedded server cannot follow).
  [[nodiscard]] static base::Result<void> check(const Settings& settings);

  /// Starts those that the settings call embedded, side by side, and waits until they answer. Errors:
  /// kConflict (port taken, or its directory in use), kNotFound (a program is missing), kInvalid (settings
  /// that an embedded server cannot follow), kFatal.
  /// `on_ready` is told of each by name, on any thread, one after the other.
  [[nodiscard]] static base::Result<std::unique_ptr<Servers>> start(
      const Settings& settings, std::function<void(std::string_view)> on_ready = {});

  /// One line for each, for the summary.
  [[nodiscard]] std::vector<SummaryLine> states() const;
  /// The same for `millrace ps`. Any thread between start and stop.
  [[nodiscard]] std::vector<ServiceEntry> services() const;
  /// Cleanly, side by side.
  void stop();

 private:
  Servers() = default;
  std::unique_ptr<supervise::EmbeddedMariadb> mariadb_;
  std::unique_ptr<supervise::EmbeddedWarehouse> warehouse_;
  std::unique_ptr<supervise::EmbeddedKafka> kafka_;
  Settings settings_;
  std::vector<supervise::KafkaNodePorts> kafka_nodes_;
};

}  // namespace millrace::app
