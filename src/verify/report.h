// What a verification found, for people, programs and metrics.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace millrace::verify {

/// One thing that is wrong, printable as one line.
struct Difference {
  std::string table;            ///< "orders", or the view's name.
  std::string key;              ///< The order's id, or the parts of the view's key.
  std::string column;           ///< Empty when the row as a whole is missing, extra or repeated.
  std::string store_value;      ///< What the order store says; "missing" when it has no such row.
  std::string warehouse_value;  ///< What the warehouse says; "missing" when it has no such row.
};

struct TableReport {
  std::string name;
  std::uint64_t compared = 0;     ///< Orders or keys on either side.
  std::uint64_t differences = 0;  ///< Rows that differ, not columns.
  std::uint64_t in_flight =
      0;  ///< Rows that changed all the time, within what the changes allow; no differences.
  /// More rows differed than are kept for checking again, so some of the differences were seen once only.
  bool too_many = false;
  std::chrono::milliseconds spent{0};
};

struct VerifyReport {
  std::vector<TableReport> tables;  ///< "orders", then the five views.
  std::vector<Difference>
      differences;           ///< The first ones, at most VerifyOptions::differences_shown_max rows' worth.
  std::uint32_t rounds = 0;  ///< How often candidates were checked again.
  std::chrono::milliseconds spent{0};

  [[nodiscard]] std::uint64_t differences_total() const;
  [[nodiscard]] std::uint64_t in_flight_total() const;
  /// The only outcome with exit code 0. What is in flight is clean.
  [[nodiscard]] bool clean() const { return differences_total() == 0; }
};

/// Ends with a line break.
[[nodiscard]] std::string to_table(const VerifyReport& report);

/// One JSON object without a line break at its end; docs/specs/verify.md has its shape.
[[nodiscard]] std::string to_json(const VerifyReport& report);

}  // namespace millrace::verify
