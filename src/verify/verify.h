// Stage-independent proof: everything is computed again from the order store and compared with the warehouse.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/stop.h"
#include "ports/sql_reader.h"
#include "ports/warehouse.h"
#include "verify/report.h"

namespace millrace::verify {

struct VerifyOptions {
  /// How long what differs may go on differing before it is called a difference, and how long a dependency
  /// may be unavailable.
  std::chrono::milliseconds patience{30'000};
  /// Before what differs is looked at again: the first pause, later ones grow to 20 times as much.
  std::chrono::milliseconds recheck_pause{250};
  std::size_t differences_shown_max = 20;
  /// Rows of one table that are kept for checking again, about 150 bytes each.
  std::size_t candidates_max = 100'000;
  /// Rows of the store that are held and compared at a time, about 1 KiB each.
  std::size_t chunk_rows = 4'000;
  /// A deleted order may be gone from the warehouse after this. Source: CONTRACT section 5.
  std::chrono::seconds purge_after{std::chrono::days(7)};
  /// One statement of the store or the warehouse; the store sorts a whole table in one.
  std::chrono::milliseconds statement_timeout{std::chrono::minutes(60)};
  /// Outbox ids are given out before their transactions commit: so far below the highest visible id rows may
  /// still turn up.
  std::uint64_t outbox_margin = 100'000;
  const base::StopSignal* stop = nullptr;  ///< Ends the run between two chunks; may be nullptr.
};

struct VerifyProgress {
  std::string doing;             ///< "orders", a view's name, or "checking again".
  std::uint64_t rows = 0;        ///< Compared so far in this table; while checking again: the round.
  std::uint64_t candidates = 0;  ///< Rows of all tables that differ so far and are to be checked again.
};

/// Compares all orders and all five views.
/// Memory:  chunk_rows rows and candidates_max candidates per table, whatever the number of orders.
/// Traffic: may run while orders change; docs/specs/verify.md says what is then a difference and what is in
/// flight. Errors:  kUnavailable (a dependency was unavailable for longer than `patience`, or the stop
/// signal), kInvalid, kRejected or kFatal (a
///          schema, a credential or a sort order is not what it must be). Threads: one caller; `progress` is
///          called on it.
[[nodiscard]] base::Result<VerifyReport> verify(ports::SqlReader& reader, ports::Warehouse& warehouse,
                                                const VerifyOptions& options,
                                                const std::function<void(const VerifyProgress&)>& progress);

}  // namespace millrace::verify
