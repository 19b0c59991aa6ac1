// What statements from outside may not do: reach files, other hosts or programs through the engine, or change
// its set-up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"

namespace millrace::warehouse {

/// The engine's own verdict on a statement. Source: libchdb's chdb_classify_query_n.
enum class StatementClass : std::uint32_t {
  kReadOnly = 0,
  kMutating = 1,
  kMutatingGlobal = 2,
  kControl = 3,
  kUnknown = 4
};

/// Thread-safe after construction.
class Guard {
 public:
  /// `table_functions`: every table function that the engine knows; all are refused but the harmless ones, so
  /// that one that a later engine brings is refused until it was looked at.
  explicit Guard(const std::vector<std::string>& table_functions);

  /// Errors: kRejected, vendor code 497 (ACCESS_DENIED), with a sentence that says what to do instead;
  /// kInvalid, code 62.
  [[nodiscard]] base::Result<void> check(std::string_view statement, StatementClass verdict) const;

  /// The same for the text of an INSERT without its rows.
  [[nodiscard]] base::Result<void> check_insert(std::string_view insert) const;

 private:
  std::unordered_set<std::string>
      refused_functions_;  ///< In lower case: names are compared without regard to case.
};

}  // namespace millrace::warehouse
