// What all parts of one verification share: where they read, and how they wait, retry and stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/backoff.h"
#include "base/deadline.h"
#include "base/result.h"
#include "ports/sql_reader.h"
#include "ports/warehouse.h"
#include "verify/candidates.h"
#include "verify/verify.h"

namespace millrace::verify {

/// One caller.
class RunContext {
 public:
  /// All of them must outlive it.
  RunContext(ports::SqlReader& reader, ports::Warehouse& warehouse, const VerifyOptions& options,
             const std::function<void(const VerifyProgress&)>& progress)
      : warehouse_(warehouse), options_(options), reader_(reader), progress_(progress) {}

  [[nodiscard]] ports::Warehouse& warehouse() const { return warehouse_; }
  [[nodiscard]] const VerifyOptions& options() const { return options_; }
  [[nodiscard]] base::Result<std::unique_ptr<ports::SqlSnapshot>> open_snapshot() const;

  [[nodiscard]] base::Deadline statement_deadline() const {
    return base::Deadline::in(options_.statement_timeout);
  }
  /// kUnavailable once a stop was asked for.
  [[nodiscard]] base::Result<void> check_stop() const;
  /// As check_stop, which ends the pause at once.
  [[nodiscard]] base::Result<void> pause(std::chrono::milliseconds span) const;
  /// Repeats `attempt` while a dependency is unavailable, for `patience` from its first failure, but only
  /// once in a verification. Snapshots do not outlive a failure.
  [[nodiscard]] base::Result<void> retrying(const std::function<base::Result<void>()>& attempt);
  void report_progress(std::string_view doing, std::uint64_t rows, std::uint64_t candidates) const;

  /// All outbox rows up to here were in the warehouse, or were order candidates of the first pass.
  std::uint64_t outbox_floor = 0;

 private:
  [[nodiscard]] bool stopped() const { return options_.stop != nullptr && options_.stop->requested(); }

  ports::Warehouse& warehouse_;
  const VerifyOptions& options_;
  ports::SqlReader& reader_;
  const std::function<void(const VerifyProgress&)>& progress_;
  bool gave_up_ = false;
};

}  // namespace millrace::verify
