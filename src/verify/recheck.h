// Checks the rows that differed again, round by round, until the changes under way explain none of the rest.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "verify/candidates.h"
#include "verify/run_context.h"
#include "verify/store_side.h"
#include "verify/view.h"

namespace millrace::verify {

/// One caller; for one verification.
class Recheck {
 public:
  /// Both must outlive it. Candidates that agree are taken out of `found`, the others get their verdict and
  /// their lines.
  Recheck(RunContext& context, Candidates& found) : context_(context), found_(found) {}

  /// Until no candidate is left or the patience is over. Errors: as verify().
  [[nodiscard]] base::Result<void> run();
  [[nodiscard]] std::uint32_t rounds() const { return rounds_; }

 private:
  struct Round;

  [[nodiscard]] base::Result<void> one_round(base::Deadline deadline, std::chrono::milliseconds settle);
  [[nodiscard]] base::Result<void> read_a(Round& round, const std::vector<std::string>& ids,
                                          OutboxTail& tail);
  [[nodiscard]] base::Result<void> wait_for_arrival(OutboxTail& tail, base::Deadline deadline);
  [[nodiscard]] base::Result<void> read_w(Round& round, const std::vector<std::string>& ids);
  [[nodiscard]] base::Result<void> read_b_and_compare(Round& round, const std::vector<std::string>& ids);
  void compare_orders(Round& round, const std::vector<std::string>& ids,
                      const std::vector<std::string>& unequal);
  void compare_view_keys(const Round& round, const View& view, const PendingChanges& pending);

  RunContext& context_;
  Candidates& found_;
  /// Recent orders that the warehouse showed, with their version.
  std::unordered_map<std::string, std::uint64_t> arrived_;
  std::uint32_t rounds_ = 0;
};

}  // namespace millrace::verify
