// A named lock of the server (GET_LOCK): what only one process of a deployment does at a time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/server_address.h"
#include "base/deadline.h"
#include "base/result.h"

namespace millrace::adapters::mysql {

/// The name of the lock for `purpose` in this database, within the 64 characters that servers take.
[[nodiscard]] std::string lock_name(std::string_view purpose, const std::string& database);

/// A new connection that holds the lock until it is closed. Errors: kConflict (another connection holds it),
/// kUnavailable, kFatal (refused credentials).
[[nodiscard]] base::Result<std::unique_ptr<Connection>> connect_with_lock(const ServerAddress& address,
                                                                          std::string_view purpose,
                                                                          base::Deadline deadline);

/// One caller at a time. Given back when destroyed, when the process ends, and when the server has not heard
/// of it for `idle_max`, so that a machine that vanished does not keep it.
class NamedLock {
 public:
  /// Errors: as connect_with_lock.
  [[nodiscard]] static base::Result<std::unique_ptr<NamedLock>> acquire(const ServerAddress& address,
                                                                        std::string_view purpose,
                                                                        std::chrono::seconds idle_max,
                                                                        base::Deadline deadline);

  /// Asks the server. False: it is lost for good, acquire it again.
  [[nodiscard]] bool is_held(base::Deadline deadline);

 private:
  explicit NamedLock(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
  std::unique_ptr<Connection> connection_;
};

}  // namespace millrace::adapters::mysql
