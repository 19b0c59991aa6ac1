// Shows people how far a long command is.
#pragma once

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "tools/import_online_retail.h"

namespace millrace::tools {

/// One line about the progress: "orders [#####     ] 9,876 of 19,959, 260,000 lines, 4,321/s, 2 s left".
[[nodiscard]] std::string progress_line(const ImportProgress& progress);

/// Redraws one line on a terminal; else prints a line at the end of each phase and every few seconds. One
/// caller.
class ImportProgressPrinter {
 public:
  explicit ImportProgressPrinter(std::FILE* out);
  ImportProgressPrinter(std::FILE* out, bool is_terminal, std::chrono::milliseconds line_interval)
      : out_(out), is_terminal_(is_terminal), line_interval_(line_interval) {}

  void show(const ImportProgress& progress);

 private:
  std::FILE* out_;
  bool is_terminal_;
  std::chrono::milliseconds line_interval_;
  std::chrono::milliseconds printed_at_{0};  // elapsed time of the phase when the last line was printed
  std::optional<ImportPhase> completed_;     // the phase whose last line was printed
  std::size_t width_ = 0;                    // of what stands on the terminal's line
};

}  // namespace millrace::tools
