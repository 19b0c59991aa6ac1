// The embedded servers that `up` starts and supervises.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/settings.h"
#include "app/summary.h"
#include "base/result.h"

namespace millrace::app {

/// Stops what it started when destroyed.
class Servers {
 public:
  virtual ~Servers() = default;

  /// Starts those that the settings call embedded, side by side, and waits until they answer. `program` is
  /// our own path. Errors: kConflict (port taken), kNotFound (a program is missing), kUnavailable (not ready
  /// in time).
  [[nodiscard]] static base::Result<std::unique_ptr<Servers>> start(const Settings& settings,
                                                                    const std::string& program);

  /// One line for each, for the summary.
  [[nodiscard]] virtual std::vector<SummaryLine> states() const = 0;
  /// Cleanly, within the deadline.
  virtual void stop(base::Deadline deadline) = 0;
};

}  // namespace millrace::app
