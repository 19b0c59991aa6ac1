// millrace import online-retail FILE: the Online Retail history through the order service.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/stop.h"
#include "ordering/order_service.h"
#include "tools/byte_source.h"
#include "tools/dispatcher.h"
#include "tools/online_retail.h"

namespace millrace::tools {

inline constexpr std::string_view kImportAdminId = "online-retail-import";

using ImportOptions = DispatchOptions;

enum class ImportPhase { kReading, kOrders, kReturns };

struct ImportProgress {
  ImportPhase phase = ImportPhase::kReading;
  std::uint64_t done = 0;  ///< Orders, or returns; nothing yet while reading.
  std::uint64_t total = 0;
  std::uint64_t lines_done = 0;  ///< Order lines, in phase kOrders.
  std::uint64_t lines_total = 0;
  std::chrono::milliseconds elapsed{0};  ///< Since the beginning of the phase.
  std::string waiting_for;  ///< Why nothing goes on: the last refusal; empty while something does.
};

/// Counts are of the whole history as it stands after this run, whichever run wrote it; a stopped run counts
/// what it reached.
struct ImportReport {
  std::uint64_t orders = 0;      ///< In the order store.
  std::uint64_t orders_new = 0;  ///< Of those, written by this run.
  std::uint64_t lines = 0;       ///< Of `orders`.
  std::uint64_t deleted = 0;     ///< Of `orders`, by their returns.
  std::uint64_t refunded = 0;
  std::uint64_t changes_new = 0;  ///< Of deleted and refunded, written by this run.
  std::uint64_t left_alone =
      0;  ///< Have a return, but somebody has changed or deleted the order since: left as it is.
  std::uint64_t unmatched = 0;  ///< Returns of which no order was found.
  RetailSkips skips;
  bool stopped = false;  ///< A stop was requested before the end; a further run goes on.
  std::chrono::milliseconds elapsed{0};
};

/// Called on the importing thread, at most every `progress_interval`, and at the end of each phase.
using OnImportProgress = std::function<void(const ImportProgress&)>;

/// Imports the CSV file. It is read and checked as a whole before the first command, so a broken line changes
/// nothing. Then all orders are recorded as they were made, and after them the returns delete or refund
/// theirs, so that each goes through creation and change like any other order. Repeats:  what a return does
/// to which order comes from the file alone, ids are pure functions of it, and an order that is
///           there stays: a run after a kill completes exactly what is missing, and one after a complete run
///           writes nothing.
/// Memory:   the history (about a third of the unpacked file) and `in_flight_max` orders.
/// Stop:     sends nothing more, waits for the answers that are due, returns a report with `stopped`.
/// Errors:   kInvalid, kNotFound (the file: nothing was sent); kUnavailable (an outage too long), and what
/// the order service
///           refuses, naming the invoice: what was sent before is complete; run it again to go on.
/// Threads:  one caller.
[[nodiscard]] base::Result<ImportReport> import_online_retail(ByteSource& source,
                                                              const ImportOptions& options,
                                                              const SubmitCommand& submit,
                                                              const base::StopSignal& stop,
                                                              const OnImportProgress& on_progress);

/// The same, of a file and to the order service.
[[nodiscard]] inline base::Result<ImportReport> import_online_retail(const std::filesystem::path& file,
                                                                     const ImportOptions& options,
                                                                     ordering::OrderService& service,
                                                                     const base::StopSignal& stop,
                                                                     const OnImportProgress& on_progress) {
  MILLRACE_TRY_ASSIGN(const auto source, open_bytes(file));
  const auto submit = [&service](ordering::Command command, ordering::OnDone done) {
    service.submit(std::move(command), std::move(done));
  };
  return import_online_retail(*source, options, submit, stop, on_progress);
}

/// The table at the end.
[[nodiscard]] std::string to_text(const ImportReport& report);

}  // namespace millrace::tools
