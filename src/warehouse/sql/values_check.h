// The rows of INSERT … VALUES may hold expressions, which the engine computes: they are checked before it
// sees them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "warehouse/sql/statement_rules.h"

namespace millrace::warehouse {

/// One caller, one INSERT.
class ValuesCheck {
 public:
  /// A value of more than `token_bytes_max` bytes is refused. `rules` must outlive the object.
  ValuesCheck(const StatementRules& rules, std::size_t token_bytes_max)
      : rules_(rules), token_bytes_max_(token_bytes_max) {}

  /// Takes the next piece of the rows; `last`: there are no more. Returns what has been checked since the
  /// last call and may go to the engine; valid until the next call. Errors: as StatementRules; kInvalid,
  /// vendor code 62 (unreadable) or 229 (a value that is too large).
  [[nodiscard]] base::Result<std::string_view> feed(std::string_view piece, bool last);

 private:
  /// Queries among the rows, and what may not stand beside them.
  [[nodiscard]] base::Result<void> check_query(const Token& previous, const Token& token);

  const StatementRules& rules_;
  const std::size_t token_bytes_max_;
  std::string text_;           ///< What came and was not given on: its front was, in the last call.
  std::size_t given_ = 0;      ///< So many bytes of it.
  std::string previous_text_;  ///< The last token that was checked.
  TokenKind previous_kind_ = TokenKind::kNumber;
  bool has_query_ = false;
  bool has_format_ = false;
};

}  // namespace millrace::warehouse
