// What statements from outside may not do: reach files, other hosts or programs through the engine, or change
// its configuration. Pure rules over a statement's tokens, at every depth.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "warehouse/sql/lexer.h"

namespace millrace::warehouse {

/// The engine's own verdict on a statement. Source: libchdb's chdb_classify_query_n.
enum class StatementClass : std::uint32_t {
  kReadOnly = 0,
  kMutating = 1,
  kMutatingGlobal = 2,
  kControl = 3,
  kUnknown = 4
};

/// A query begins with `next`, inside of brackets.
[[nodiscard]] bool begins_query(const Token& token, const Token& next);

/// Thread-safe after construction. Errors of all checks: kRejected, vendor code 497 (ACCESS_DENIED), with a
/// sentence that says why or what to do instead; for settings that nobody knows kInvalid, code 115.
class StatementRules {
 public:
  /// `engine_functions`: every function and table function that the engine knows. One that the catalog does
  /// not have is refused, so that what a later engine brings is refused until somebody has looked at it.
  explicit StatementRules(const std::vector<std::string>& engine_functions);

  /// `tokens`: a whole statement as the engine prints it. Texts in it that the engine will read as statements
  /// of their own are appended to `nested`; the caller checks them, too.
  [[nodiscard]] base::Result<void> check(const std::vector<Token>& tokens, StatementClass verdict,
                                         std::vector<std::string>& nested) const;

  /// The same for an INSERT without its rows.
  [[nodiscard]] base::Result<void> check_insert(const std::vector<Token>& tokens,
                                                std::vector<std::string>& nested) const;

  /// Two tokens that follow each other among the rows of INSERT … VALUES, where nothing but scalar functions
  /// is of use.
  [[nodiscard]] base::Result<void> check_in_values(const Token& token, const Token& next) const;

  [[nodiscard]] static base::Result<void> check_setting(std::string_view name);
  /// What the engine does not know passes: its own error names the formats that are alike.
  [[nodiscard]] static base::Result<void> check_format(std::string_view name);

 private:
  [[nodiscard]] base::Result<void> check_depths(const std::vector<Token>& tokens,
                                                std::vector<std::string>& nested) const;
  [[nodiscard]] base::Result<void> check_call(const std::vector<Token>& tokens, std::size_t at) const;
  [[nodiscard]] base::Result<void> check_function(std::string_view name) const;
  [[nodiscard]] base::Result<void> check_structure_arguments(const std::vector<Token>& tokens,
                                                             std::size_t at) const;

  std::unordered_set<std::string> engine_functions_;  ///< In lower case.
};

}  // namespace millrace::warehouse
