#include "app/progress_line.h"

#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "base/numbers.h"
#include "base/text.h"

namespace millrace::app {
namespace {

constexpr std::size_t kLineBytesMax = 100;
constexpr std::chrono::milliseconds kCountInterval{5'000};
constexpr std::chrono::milliseconds kRedrawInterval{100};

}  // namespace

ProgressLine::ProgressLine()
    : is_terminal_(isatty(STDERR_FILENO) != 0),
      next_count_(std::chrono::steady_clock::now() + (is_terminal_ ? kRedrawInterval : kCountInterval)) {}

void ProgressLine::show(std::string_view text) {
  if (text == last_ || text.empty()) return;
  last_ = text;
  if (is_terminal_)
    fmt::print(stderr, "\r\x1b[K{}", base::printable(text, kLineBytesMax));
  else
    fmt::print(stderr, "{}\n", text);
}

void ProgressLine::show(std::uint64_t done, std::uint64_t total, std::chrono::duration<double> spent) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_count_) return;
  next_count_ = now + (is_terminal_ ? kRedrawInterval : kCountInterval);
  std::string line = fmt::format("{} of {}", base::grouped(done), base::grouped(total));
  if (spent.count() > 0 && done > 0) {
    const double rate = static_cast<double>(done) / spent.count();
    line += fmt::format(", {}/s, {:.0f} s left", base::grouped(static_cast<std::uint64_t>(rate)),
                        static_cast<double>(total - done) / rate);
  }
  show(line);
}

void ProgressLine::end() {
  if (is_terminal_ && !last_.empty()) fmt::print(stderr, "\r\x1b[K");
  last_.clear();
}

}  // namespace millrace::app
