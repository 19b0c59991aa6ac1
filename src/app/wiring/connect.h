// Kafka Connect's REST interface of this process, and the control of its sink behind it.
#pragma once

#include <memory>

#include "adapters/http/http_server.h"
#include "app/config/settings.h"
#include "app/wiring/dependencies.h"
#include "base/outage_logger.h"
#include "base/result.h"
#include "connect/control.h"
#include "connect/rest.h"

namespace millrace::app {

/// True if the sink of this process does what it is told over Kafka Connect's interface: with Kafka always,
/// with the embedded log when connect.port is set to other than 0.
[[nodiscard]] bool is_connect_used(const Settings& settings);

/// One caller, but for the control.
class Connect {
 public:
  /// Not served yet. Errors: kFatal.
  [[nodiscard]] static base::Result<std::unique_ptr<Connect>> make(const Settings& settings,
                                                                   Dependencies& dependencies);

  [[nodiscard]] connect::Control& control() { return *control_; }

  /// Listens at connect.port; does nothing when that is 0, or when it listens already. Errors: kConflict (the
  /// port is taken).
  [[nodiscard]] base::Result<void> serve();
  /// The same where another sink on this machine may have the port: says so once and lets it be.
  void try_to_serve();
  void stop(base::Deadline deadline);
  [[nodiscard]] bool is_served() const { return server_ != nullptr; }

 private:
  explicit Connect(const Settings& settings) : settings_(settings) {}
  const Settings settings_;
  base::OutageLogger taken_;
  // Destroyed from the last to the first.
  std::unique_ptr<connect::WarehouseRegistry> registry_;
  std::unique_ptr<connect::Control> control_;
  std::unique_ptr<connect::Rest> rest_;
  std::unique_ptr<adapters::http::HttpServer> server_;
};

}  // namespace millrace::app
