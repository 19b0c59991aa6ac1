// How far a long command is: one line on standard error that replaces itself on a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::app {

/// Elsewhere than on a terminal it prints whole lines: a text whenever it changes, a count every five
/// seconds. One caller.
class ProgressLine {
 public:
  ProgressLine();

  void show(std::string_view text);
  /// "1,234 of 100,000, 450/s, 219 s left".
  void show(std::uint64_t done, std::uint64_t total, std::chrono::duration<double> spent);
  /// Before anything else is printed, and at the end.
  void end();

 private:
  const bool is_terminal_;
  std::string last_;
  std::chrono::steady_clock::time_point next_count_;
};

}  // namespace millrace::app
