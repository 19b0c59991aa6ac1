// millrace backfill: sends the orders that were there before the pipeline.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stop.h"
#include "ports/order_store.h"
#include "tools/dispatcher.h"
#include "tools/import_online_retail.h"

namespace millrace::tools {

struct BackfillOptions {
  DispatchOptions dispatch;
  std::size_t orders_max = 1'000;  ///< Ids read at a time.
  std::size_t refusals_shown_max = 10;
  std::chrono::milliseconds read_timeout{10 * 60'000};  ///< Of one look through the orders.
};

struct BackfillReport {
  std::uint64_t backfilled = 0;       ///< By this run.
  std::uint64_t refused = 0;          ///< Cannot be backfilled as they are.
  std::vector<std::string> refusals;  ///< Why, of the first of them.
  bool stopped = false;               ///< A stop was requested before the end; a further run goes on.
  std::chrono::milliseconds elapsed{0};
};

/// Announces every order at version 0, deleted ones included, through the order service: the version and the
/// event are written in one transaction that locks the order, so each order is backfilled once, however often
/// this runs, wherever it is killed, and whoever changes the order meanwhile. Passes over the orders until
/// one finds nothing new. Errors: kUnavailable (an outage too long), kFatal (no answer). Threads: one caller;
/// `on_progress` is called on it.
[[nodiscard]] base::Result<BackfillReport> backfill(ports::OrderStore& store, const SubmitCommand& submit,
                                                    const BackfillOptions& options,
                                                    const base::StopSignal& stop,
                                                    const OnImportProgress& on_progress);

/// The lines at the end.
[[nodiscard]] std::string to_text(const BackfillReport& report);

}  // namespace millrace::tools
