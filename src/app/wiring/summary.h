// The live one-screen summary of `up`.
#pragma once

#include <string>
#include <vector>

#include "analytics/analytics.h"
#include "app/wiring/pipeline.h"

namespace millrace::app {

struct SummaryLine {
  std::string name;
  std::string value;
};

/// What the last scheduled verification that was carried out found.
struct Verified {
  base::UtcTime at;
  std::uint64_t differences = 0;
};

/// What `up` shows of itself.
struct Snapshot {
  std::vector<SummaryLine> addresses;
  std::vector<std::string> notes;         ///< Below the addresses, on the screen alone.
  std::optional<analytics::Stats> stats;  ///< Nothing while the warehouse does not answer.
  std::optional<Lag> lag;                 ///< Nothing while the order store or the log does not answer.
  std::int64_t freshness_ms = 0;          ///< Commit to visible, of the last batch.
  std::uint64_t rows_loaded = 0;
  std::uint64_t repeats_dropped = 0;
  std::uint64_t dead_letters = 0;
  std::optional<Verified> verified;  ///< Nothing before the first one.
  double rows_per_second = 0;
  std::vector<SummaryLine> servers;  ///< The supervised ones and their state.
  std::chrono::seconds uptime{0};
};

/// The whole screen, with the terminal's codes to draw over the last one.
[[nodiscard]] std::string to_screen(const Snapshot& snapshot);
/// One line for a log.
[[nodiscard]] std::string to_line(const Snapshot& snapshot);

}  // namespace millrace::app
