#include "warehouse/sql/statement_rules.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "warehouse/engine/error_code.h"
#include "warehouse/sql/catalog.h"
#include "warehouse/sql/definition_rules.h"

namespace millrace::warehouse {
namespace {

using Verdict = NameList::Verdict;

// Suffixes that make further aggregate functions of one. Source: system.aggregate_function_combinators.
constexpr std::array kCombinators = {"argmax", "argmin",   "array", "distinct", "foreach",
                                     "if",     "map",      "merge", "null",     "ordefault",
                                     "ornull", "resample", "state", "tuple",    "simplestate"};

// Table functions that read their texts as SQL: a structure may hold default expressions, and rows may hold
// expressions.
constexpr std::array kStructureFunctions = {"format", "input",          "values",
                                            "null",   "generaterandom", "fuzzjson"};

bool is_structure_function(std::string_view name) {
  return std::ranges::find(kStructureFunctions, name) != kStructureFunctions.end();
}

/// Behind the value of a setting that begins at `at`.
std::size_t value_end(const std::vector<Token>& tokens, std::size_t at) {
  int depth = 0;
  for (std::size_t i = at; i < tokens.size(); ++i) {
    if (tokens[i].is_sign('(') || tokens[i].is_sign('[') || tokens[i].is_sign('{')) ++depth;
    if (tokens[i].is_sign(')') || tokens[i].is_sign(']') || tokens[i].is_sign('}')) {
      if (depth == 0) return i;
      --depth;
    }
    if (depth == 0 && tokens[i].is_sign(',')) return i;
    // A value is one token or one bracket, behind a sign or a function's name.
    const bool goes_on = i + 1 < tokens.size() && tokens[i + 1].is_sign('(');
    if (depth == 0 && !goes_on && !tokens[i].is_sign('-') && !tokens[i].is_sign('+')) return i + 1;
  }
  return tokens.size();
}

/// The names behind SETTINGS, SET or MODIFY SETTING; `at` is the first.
base::Result<void> check_settings(const std::vector<Token>& tokens, std::size_t at) {
  for (std::size_t i = at; i < tokens.size() && is_name(tokens[i]);) {
    const bool has_value = i + 1 < tokens.size() && tokens[i + 1].is_sign('=');
    const std::string name = unquoted(tokens[i]);
    // A column may be called SETTINGS: without a value only what names a setting counts.
    if (has_value || catalog().settings.verdict(name) == Verdict::kRefused ||
        catalog().merge_tree_settings.verdict(name) == Verdict::kRefused)
      MILLRACE_TRY(StatementRules::check_setting(name));
    const std::size_t end = has_value ? value_end(tokens, i + 2) : i + 1;
    if (end >= tokens.size() || !tokens[end].is_sign(',')) return {};
    i = end + 1;
  }
  return {};
}

}  // namespace

StatementRules::StatementRules(const std::vector<std::string>& engine_functions) {
  for (const std::string& name : engine_functions) engine_functions_.insert(base::to_lower(name));
}

base::Result<void> StatementRules::check_setting(std::string_view name) {
  const NameList& settings = catalog().settings;
  const NameList& of_tables = catalog().merge_tree_settings;
  // Values of query parameters, which may be set like settings.
  if (name.starts_with("param_")) return {};
  for (const NameList* list : {&settings, &of_tables})
    if (list->verdict(name) == Verdict::kRefused)
      return deny(fmt::format("the setting {} cannot be changed over HTTP here: it {}",
                              base::printable(name, 80), list->reason(name)));
  if (settings.verdict(name) == Verdict::kAllowed || of_tables.verdict(name) == Verdict::kAllowed) return {};
  return base::fail(base::ErrorKind::kInvalid, fmt::format("Unknown setting '{}'", base::printable(name, 80)),
                    kUnknownSetting);
}

base::Result<void> StatementRules::check_format(std::string_view name) {
  if (catalog().formats.verdict(name) != Verdict::kRefused) return {};
  return deny(fmt::format("the format {} is not served here: it {}", base::printable(name, 60),
                          catalog().formats.reason(name)));
}

base::Result<void> StatementRules::check_function(std::string_view name) const {
  const Catalog& known = catalog();
  for (const NameList* list : {&known.functions, &known.table_functions})
    if (list->verdict(name) == Verdict::kRefused)
      return deny(fmt::format("{}() is not served here: it {}; send rows by INSERT, read them by SELECT",
                              base::printable(name, 60), list->reason(name)));
  if (known.functions.verdict(name) == Verdict::kAllowed ||
      known.table_functions.verdict(name) == Verdict::kAllowed)
    return {};
  if (engine_functions_.contains(std::string(name)))
    return deny(fmt::format("{}() is not served here: this version does not know yet what it does",
                            base::printable(name, 60)));
  for (const std::string_view suffix : kCombinators)
    if (name.size() > suffix.size() && name.ends_with(suffix))
      return check_function(name.substr(0, name.size() - suffix.size()));
  // A type, a list of columns, or a function that was made of allowed ones by CREATE FUNCTION.
  return {};
}

bool begins_query(const Token& token, const Token& next) {
  return token.is_sign('(') && (next.is_word("SELECT") || next.is_word("WITH") || next.is_word("FROM"));
}

base::Result<void> StatementRules::check_in_values(const Token& token, const Token& next) const {
  if (!next.is_sign('(') || !is_name(token)) return {};
  const std::string name = base::to_lower(unquoted(token));
  if (catalog().table_functions.verdict(name) != Verdict::kUnknown &&
      catalog().functions.verdict(name) != Verdict::kAllowed)
    return deny(fmt::format("{}() is not served among the rows of VALUES: it is a table function",
                            base::printable(name, 60)));
  return check_function(name);
}

base::Result<void> StatementRules::check_structure_arguments(const std::vector<Token>& tokens,
                                                             std::size_t at) const {
  const std::string name = base::to_lower(unquoted(tokens[at]));
  // The scalar function of the same name has a pattern where the table function has a format.
  if (name == "format" && at + 2 < tokens.size() && tokens[at + 2].kind == TokenKind::kString &&
      tokens[at + 2].text.find('{') != std::string_view::npos)
    return {};
  const auto only_literals = [&] {
    return deny(fmt::format(
        "the arguments of {}() must be plain texts, so that what they hold can be checked", name));
  };
  if (at + 2 < tokens.size() && name != "values" && tokens[at + 2].is_sign('{')) return only_literals();
  int depth = 0;
  for (std::size_t i = at + 1; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (token.is_sign('(')) ++depth;
    if (token.is_sign(')') && --depth == 0) return {};
    if (name == "format" && (depth > 1 || token.is_sign('{'))) return only_literals();
    const bool called = is_name(token) && i + 1 < tokens.size() && tokens[i + 1].is_sign('(');
    // The structure stands first, and could be put together by a function.
    if (called && i == at + 2 && unquoted(token) != "tuple" && unquoted(token) != "array")
      return only_literals();
    if (token.kind != TokenKind::kString) continue;
    const std::string text = unquoted(token);
    Lexer lexer(text);
    Token previous;
    for (Token inner; lexer.next(inner) == Lexer::Step::kToken; previous = inner)
      if (begins_query(previous, inner)) {
        return deny(fmt::format("queries are not served among the arguments of {}()", name));
      } else {
        MILLRACE_TRY(check_in_values(previous, inner));
      }
  }
  return {};
}

base::Result<void> StatementRules::check_call(const std::vector<Token>& tokens, std::size_t at) const {
  // With a name in front it is a table, a view with parameters, or a function of that whole name.
  if (at > 0 && tokens[at - 1].is_sign('.')) return {};
  if (is_declared_name(tokens, at)) return {};
  const std::string name = base::to_lower(unquoted(tokens[at]));
  MILLRACE_TRY(check_function(name));
  if (is_structure_function(name)) MILLRACE_TRY(check_structure_arguments(tokens, at));
  return {};
}

base::Result<void> StatementRules::check_depths(const std::vector<Token>& tokens,
                                                std::vector<std::string>& nested) const {
  const auto word = [&](std::size_t at, std::string_view upper) {
    return at < tokens.size() && tokens[at].is_word(upper);
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (!is_name(token)) continue;
    if (i + 1 < tokens.size() && tokens[i + 1].is_sign('(')) MILLRACE_TRY(check_call(tokens, i));
    if (token.is_word("SETTINGS"))
      MILLRACE_TRY(check_settings(tokens, i + (i + 1 < tokens.size() && tokens[i + 1].is_sign('(') ? 2 : 1)));
    if ((token.is_word("MODIFY") || token.is_word("RESET")) && word(i + 1, "SETTING"))
      MILLRACE_TRY(check_settings(tokens, i + 2));
    if (token.is_word("FORMAT") && i + 1 < tokens.size() && is_name(tokens[i + 1]))
      MILLRACE_TRY(check_format(unquoted(tokens[i + 1])));
    if (token.is_word("INTO") && word(i + 1, "OUTFILE"))
      return deny("INTO OUTFILE is not served here: the answer comes in the response's body");
    if (token.is_word("FROM") && word(i + 1, "INFILE"))
      return deny("FROM INFILE is not served here: send the rows in the request's body");
    if (token.is_word("PARALLEL") && word(i + 1, "WITH"))
      return deny("PARALLEL WITH is not served here: send one statement to a request");
  }
  return check_definition(tokens, nested);
}

base::Result<void> StatementRules::check(const std::vector<Token>& tokens, StatementClass verdict,
                                         std::vector<std::string>& nested) const {
  if (tokens.empty()) return {};
  MILLRACE_TRY(check_verb(tokens, verdict));
  if (tokens[0].is_word("SET")) MILLRACE_TRY(check_settings(tokens, 1));
  bool inserts = false;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    inserts |= tokens[i].is_word("INSERT") && tokens[i + 1].is_word("INTO");
    // The engine's print leaves the rows out, and rows of VALUES may hold expressions.
    if (inserts && tokens[i].is_word("FORMAT") && base::to_lower(unquoted(tokens[i + 1])) == "values")
      return deny("rows of VALUES are not served in this place; send INSERT INTO … VALUES on its own");
  }
  return check_depths(tokens, nested);
}

base::Result<void> StatementRules::check_insert(const std::vector<Token>& tokens,
                                                std::vector<std::string>& nested) const {
  if (tokens.empty() || !tokens[0].is_word("INSERT")) return deny("this is not an INSERT");
  return check_depths(tokens, nested);
}

}  // namespace millrace::warehouse
