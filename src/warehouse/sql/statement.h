// Finds out what a request's statement is before all of it has arrived: an INSERT whose data follow is
// streamed, everything else is read as a whole.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::warehouse {

struct Statement {
  enum class Kind {
    kIncomplete,  ///< The text so far does not tell; read more of it.
    kInsertData,  ///< INSERT with rows in a format behind it.
    kOther,       ///< Everything else, INSERT … SELECT included; the whole text is the statement.
  };
  Kind kind = Kind::kIncomplete;
  // Of kInsertData only:
  std::string insert;          ///< The INSERT up to FORMAT or VALUES, without either.
  std::string format;          ///< As written; "Values" for VALUES; empty when the statement names none.
  std::size_t data_begin = 0;  ///< Where in the text the rows begin.
};

/// Looks at the statement's beginning; `complete` says that `text` is all there is. Never kIncomplete then.
/// Errors: kInvalid, vendor code 62 (unreadable text), 497 (rows from a file of the server's).
[[nodiscard]] base::Result<Statement> examine(std::string_view text, bool complete);

/// The name behind the statement's own FORMAT clause, or empty. `text` is a whole statement that is not
/// kInsertData.
[[nodiscard]] std::string format_clause(std::string_view text);

/// True if the statement's answer can be taken in pieces: its first word is one of a query's.
[[nodiscard]] bool is_select(std::string_view text);

/// True if nothing but blanks, comments and semicolons is there.
[[nodiscard]] bool is_blank_statement(std::string_view text);

}  // namespace millrace::warehouse
