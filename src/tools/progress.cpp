#include "tools/progress.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "base/numbers.h"
#include "base/text.h"

namespace millrace::tools {
namespace {

constexpr std::size_t kBarWidth = 24;

std::string duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  return fmt::format("{} min {} s", whole / 60, whole % 60);
}

bool is_complete(const ImportProgress& progress) {
  return progress.phase != ImportPhase::kReading && progress.done == progress.total;
}

}  // namespace

std::string progress_line(const ImportProgress& progress) {
  if (progress.phase == ImportPhase::kReading) return "reading the file";
  constexpr std::array<std::string_view, 3> kNames = {"", "orders", "returns"};
  const double part =
      progress.total == 0 ? 1.0 : static_cast<double>(progress.done) / static_cast<double>(progress.total);
  const auto filled = static_cast<std::size_t>(part * kBarWidth);
  std::string line = fmt::format("{:<7} [{:<{}}] {} of {}", kNames[static_cast<std::size_t>(progress.phase)],
                                 std::string(filled, '#'), kBarWidth, base::grouped(progress.done),
                                 base::grouped(progress.total));
  if (progress.lines_total > 0) line += fmt::format(", {} lines", base::grouped(progress.lines_done));
  // On one line: it is redrawn.
  if (!progress.waiting_for.empty()) return line + ", waiting: " + base::printable(progress.waiting_for, 120);
  const double seconds = static_cast<double>(progress.elapsed.count()) / 1e3;
  if (seconds <= 0 || progress.done == 0) return line;
  const double rate = static_cast<double>(progress.done) / seconds;
  line += fmt::format(", {}/s", base::grouped(static_cast<std::uint64_t>(rate)));
  if (is_complete(progress)) return line + ", " + duration(seconds);
  return line +
         fmt::format(", {} left", duration(static_cast<double>(progress.total - progress.done) / rate));
}

ImportProgressPrinter::ImportProgressPrinter(std::FILE* out)
    : ImportProgressPrinter(out, ::isatty(::fileno(out)) == 1, std::chrono::seconds(5)) {}

void ImportProgressPrinter::show(const ImportProgress& progress) {
  if (progress.elapsed < printed_at_) printed_at_ = std::chrono::milliseconds(0);
  const std::string line = progress_line(progress);
  const bool complete = is_complete(progress);
  if (complete && completed_ == progress.phase) return;
  completed_ = complete ? std::optional(progress.phase) : std::nullopt;
  if (is_terminal_) {
    // Blanks cover what is left of a longer line.
    fmt::print(out_, "\r{:<{}}{}", line, std::max(width_, line.size()), complete ? "\n" : "");
    width_ = complete ? 0 : line.size();
    std::fflush(out_);
    return;
  }
  if (!complete && progress.elapsed - printed_at_ < line_interval_) return;
  printed_at_ = progress.elapsed;
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

}  // namespace millrace::tools
