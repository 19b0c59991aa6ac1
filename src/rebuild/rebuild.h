// A rebuild: base and rollups anew beside the live tables, then exchanged with them.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "base/result.h"
#include "jobs/handler.h"
#include "ports/clock.h"
#include "ports/event_log.h"
#include "ports/order_store.h"
#include "ports/warehouse.h"
#include "rebuild/generations.h"
#include "rebuild/state.h"
#include "sink/sink.h"

namespace millrace::rebuild {

struct Options {
  sink::Options sink;  ///< The live sink's: topic and limits. The group is another.
  std::string group = "millrace-rebuild";
  std::size_t chunk_orders = 1'000;      ///< Read from the order store at once.
  std::size_t slice_orders = 10'000;     ///< Taken from the snapshot at once; fewer where orders are large.
  std::size_t slice_bytes = 16u << 20u;  ///< Of the orders of an average slice, as JSON.
  /// The tables are exchanged when what was in the log this long ago is loaded.
  std::chrono::milliseconds caught_up_within{1'000};
  std::chrono::milliseconds call_timeout{60'000};
};

/// What the rest of the process does while a rebuild runs: the purge rests, and no rows are removed from the
/// log. Called with true at the beginning of an attempt and with false at its end.
using Hold = std::function<void(bool)>;

/// Holds from its making to its end; `hold` must outlive it.
class ScopedHold {
 public:
  explicit ScopedHold(const Hold& hold) : hold_(hold) { hold_(true); }
  ~ScopedHold() { hold_(false); }
  ScopedHold(const ScopedHold&) = delete;
  ScopedHold& operator=(const ScopedHold&) = delete;

 private:
  const Hold& hold_;
};

/// Job "rebuild". Each phase is noted in the checkpoint before the next begins, and may be done again from
/// there: docs/specs/rebuild.md says why each is harmless. What it is given must outlive it. One caller.
class Rebuild final : public jobs::Handler {
 public:
  Rebuild(
      ports::OrderStore& store, ports::EventLog& log, ports::Warehouse& warehouse, const ports::Clock& clock,
      TableStatements statements, Options options, Hold hold = [](bool) {});

  /// Errors: kUnavailable, kConflict (another attempt); kInvalid, kRejected, kFatal (the shadow tables are
  /// dropped, unless the exchange has begun).
  base::Result<std::string> run(const ports::Job& job, jobs::Attempt& attempt) override;
  /// Drops the shadow tables; false once the exchange has begun.
  base::Result<bool> cancel(const ports::Job& job, jobs::Attempt& attempt) override;

 private:
  [[nodiscard]] base::Result<std::string> carry_on(State& state, jobs::Attempt& attempt);
  [[nodiscard]] base::Result<void> begin(State& state);
  [[nodiscard]] base::Result<void> create(State& state);
  [[nodiscard]] base::Result<void> take_snapshot(State& state, jobs::Attempt& attempt);
  [[nodiscard]] base::Result<void> fill(State& state, jobs::Attempt& attempt);
  [[nodiscard]] base::Result<void> catch_up(const State& state, jobs::Attempt& attempt);
  [[nodiscard]] base::Result<bool> wait_until_caught_up(const State& state, sink::SinkTables& tables,
                                                        jobs::Attempt& attempt,
                                                        const base::StopSignal& ended);
  [[nodiscard]] base::Result<void> exchange(const State& state, jobs::Attempt& attempt);
  [[nodiscard]] sink::WarehouseTables shadow_tables(const State& state);
  [[nodiscard]] std::string fresh_name(std::string_view table, std::uint32_t generation) const;
  [[nodiscard]] base::Deadline soon() const { return base::Deadline::in(options_.call_timeout); }

  ports::OrderStore& store_;
  ports::EventLog& log_;
  ports::Warehouse& warehouse_;
  const ports::Clock& clock_;
  Generations generations_;
  const Options options_;
  const Hold hold_;
};

}  // namespace millrace::rebuild
