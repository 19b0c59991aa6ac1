// The rules for what a statement is (its verb) and for what CREATE and ALTER define: engines, dictionaries,
// views.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "warehouse/sql/lexer.h"
#include "warehouse/sql/statement_rules.h"

namespace millrace::warehouse {

/// A refusal with ClickHouse's code ACCESS_DENIED.
[[nodiscard]] base::Result<void> deny(std::string message);

/// Whether the token can name something: a word or a quoted name.
[[nodiscard]] bool is_name(const Token& token);

/// Whether the name at `at` is that of the table, view or dictionary that the statement makes or fills: a
/// list of columns may follow it as arguments follow a function.
[[nodiscard]] bool is_declared_name(const std::vector<Token>& tokens, std::size_t at);

/// Whether statements of this kind are served at all. Errors as StatementRules.
[[nodiscard]] base::Result<void> check_verb(const std::vector<Token>& tokens, StatementClass verdict);

/// Engines, sources and layouts of dictionaries, rights of views. Errors and `nested` as StatementRules.
[[nodiscard]] base::Result<void> check_definition(const std::vector<Token>& tokens,
                                                  std::vector<std::string>& nested);

}  // namespace millrace::warehouse
