#include "warehouse/guard.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "warehouse/error_code.h"
#include "warehouse/lexer.h"

namespace millrace::warehouse {
namespace {

// Read or make rows inside the engine only.
const std::unordered_set<std::string> kHarmlessTableFunctions = {"numbers",
                                                                 "numbers_mt",
                                                                 "zeros",
                                                                 "zeros_mt",
                                                                 "primes",
                                                                 "null",
                                                                 "values",
                                                                 "view",
                                                                 "viewifpermitted",
                                                                 "viewexplain",
                                                                 "merge",
                                                                 "generaterandom",
                                                                 "generateseries",
                                                                 "generate_series",
                                                                 "input",
                                                                 "format",
                                                                 "dictionary",
                                                                 "loop",
                                                                 "mergetreeindex",
                                                                 "mergetreeprojection",
                                                                 "mergetreeparts",
                                                                 "mergetreeanalyzeindexes",
                                                                 "mergetreetextindex",
                                                                 "fuzzjson",
                                                                 "fuzzquery",
                                                                 "arrayjoin",
                                                                 "sqlstandardvalues",
                                                                 "one",
                                                                 "timeseriesselector",
                                                                 "timeseriesmetrics",
                                                                 "timeseriestags",
                                                                 "timeseriesdata",
                                                                 "timeseriessamples"};

// Ordinary functions that reach outside; the engine lists them apart from the table functions.
constexpr std::array kRefusedFunctions = {"file", "disk", "catboostevaluate", "python"};

const std::unordered_set<std::string> kTableEngines = {"mergetree",
                                                       "replacingmergetree",
                                                       "summingmergetree",
                                                       "aggregatingmergetree",
                                                       "collapsingmergetree",
                                                       "versionedcollapsingmergetree",
                                                       "coalescingmergetree",
                                                       "graphitemergetree",
                                                       "memory",
                                                       "null",
                                                       "log",
                                                       "tinylog",
                                                       "stripelog",
                                                       "join",
                                                       "set",
                                                       "buffer",
                                                       "view",
                                                       "materializedview",
                                                       "merge",
                                                       "dictionary",
                                                       "generaterandom"};
const std::unordered_set<std::string> kDatabaseEngines = {"atomic", "memory", "ordinary"};
const std::unordered_set<std::string> kDictionarySources = {"clickhouse", "null"};

// Each is harmless to what is stored, and people ask for it from outside.
constexpr std::array kSystemVerbs = {"FLUSH LOGS",
                                     "FLUSH ASYNC INSERT QUEUE",
                                     "SYNC",
                                     "START MERGES",
                                     "STOP MERGES",
                                     "START TTL MERGES",
                                     "STOP TTL MERGES",
                                     "REFRESH VIEW",
                                     "START VIEW",
                                     "STOP VIEW",
                                     "START VIEWS",
                                     "STOP VIEWS",
                                     "WAIT VIEW",
                                     "CANCEL VIEW",
                                     "RELOAD DICTIONARY",
                                     "RELOAD DICTIONARIES",
                                     "DROP MARK CACHE",
                                     "DROP UNCOMPRESSED CACHE",
                                     "DROP QUERY CACHE",
                                     "DROP COMPILED EXPRESSION CACHE",
                                     "CLEAR MARK CACHE",
                                     "CLEAR UNCOMPRESSED CACHE",
                                     "CLEAR QUERY CACHE"};

base::Result<void> deny(std::string message) {
  return base::fail(base::ErrorKind::kRejected, std::move(message), kAccessDenied);
}

bool is_name(const Token& token) {
  return token.kind == TokenKind::kWord || token.kind == TokenKind::kQuotedName;
}

/// The first words in upper case, with one blank between.
std::string leading_words(const std::vector<Token>& tokens, std::size_t from, std::size_t count) {
  std::string words;
  for (std::size_t i = from; i < tokens.size() && i < from + count && tokens[i].kind == TokenKind::kWord;
       ++i) {
    if (!words.empty()) words += ' ';
    words += base::to_upper(tokens[i].text);
  }
  return words;
}

bool is_allowed_system(const std::vector<Token>& tokens) {
  const std::string words = leading_words(tokens, 1, 5) + " ";
  for (const std::string_view verb : kSystemVerbs)
    if (words.starts_with(std::string(verb) + " ")) return true;
  return false;
}

/// ALTER TABLE … DELETE WHERE … SETTINGS mutations_sync = n. The engine tells it from no other ALTER with
/// settings, so all of it is looked at: one table, one deletion, that one setting.
bool is_deletion_waited_for(const std::vector<Token>& tokens) {
  const std::size_t settings = tokens.size() < 4 ? 0 : tokens.size() - 4;
  if (settings < 6 || !tokens[0].is_word("ALTER") || !tokens[1].is_word("TABLE")) return false;
  if (!tokens[settings].is_word("SETTINGS") || !tokens[settings + 1].is_word("MUTATIONS_SYNC") ||
      !tokens[settings + 2].is_sign('=') || tokens[settings + 3].kind != TokenKind::kNumber)
    return false;
  std::size_t at = is_name(tokens[2]) ? 3 : 0;
  if (at == 3 && tokens[3].is_sign('.') && is_name(tokens[4])) at = 5;
  if (at == 0 || !tokens[at].is_word("DELETE") || !tokens[at + 1].is_word("WHERE")) return false;
  int depth = 0;
  for (std::size_t i = at + 2; i < settings; ++i) {
    if (tokens[i].is_sign('(') || tokens[i].is_sign('[')) ++depth;
    if (tokens[i].is_sign(')') || tokens[i].is_sign(']')) --depth;
    if (depth < 0 || tokens[i].is_word("SETTINGS") || tokens[i].is_sign(';')) return false;
    if (depth == 0 && tokens[i].is_sign(',')) return false;
  }
  return depth == 0;
}

base::Result<void> check_control(const std::vector<Token>& tokens) {
  const Token& first = tokens.front();
  // Every request has a connection of its own that is closed with it, so these have no effect beyond it.
  if (first.is_word("SET") &&
      !(tokens.size() > 1 && (tokens[1].is_word("ROLE") || tokens[1].is_word("DEFAULT"))))
    return {};
  if (first.is_word("USE")) return {};
  if (first.is_word("KILL")) return {};
  if (is_deletion_waited_for(tokens)) return {};
  if (first.is_word("SYSTEM")) {
    if (is_allowed_system(tokens)) return {};
    return deny(
        "this SYSTEM statement is not served here; SYNC, FLUSH LOGS, START/STOP MERGES and views, and "
        "clearing caches are");
  }
  if (tokens.size() > 1 && first.is_word("CREATE") && tokens[1].is_word("TEMPORARY"))
    return deny(
        "temporary tables live in a session, and requests have none here; make a table with ENGINE = Memory");
  for (const Token& token : tokens)
    if (token.is_word("OUTFILE"))
      return deny("INTO OUTFILE is not served here: the answer comes in the response's body");
  return deny(fmt::format("{} is not served here: it changes the set-up of the server or leaves the database",
                          base::to_upper(base::printable(first.text, 20))));
}

/// The engine opens every connection in `default` and answers about itself from the others.
base::Result<void> check_own_databases(const std::vector<Token>& tokens) {
  if (tokens.size() < 3 || !(tokens[0].is_word("DROP") || tokens[0].is_word("RENAME")) ||
      !tokens[1].is_word("DATABASE"))
    return {};
  for (std::size_t i = 2; i < tokens.size(); ++i) {
    const std::string name = base::to_lower(unquoted(tokens[i]));
    if (is_name(tokens[i]) && (name == "default" || name == "system" || name == "information_schema"))
      return deny(fmt::format("the database {} belongs to the engine: drop its tables instead", name));
  }
  return {};
}

}  // namespace

Guard::Guard(const std::vector<std::string>& table_functions) {
  for (const std::string& name : table_functions)
    if (std::string lower = base::to_lower(name); !kHarmlessTableFunctions.contains(lower))
      refused_functions_.insert(std::move(lower));
  for (const char* name : kRefusedFunctions) refused_functions_.insert(name);
}

base::Result<void> Guard::check(std::string_view statement, StatementClass verdict) const {
  MILLRACE_TRY_ASSIGN(const auto tokens, lex(statement));
  if (tokens.empty()) return {};
  if (verdict == StatementClass::kControl) MILLRACE_TRY(check_control(tokens));
  if (verdict == StatementClass::kMutatingGlobal) {
    const bool sql_function =
        tokens.size() > 1 &&
        (leading_words(tokens, 0, 2) == "CREATE FUNCTION" || leading_words(tokens, 0, 2) == "DROP FUNCTION" ||
         leading_words(tokens, 0, 4) == "CREATE OR REPLACE FUNCTION");
    if (!sql_function)
      return deny(
          "users, grants, named collections and other things of the whole server are not managed over HTTP "
          "here");
  }
  MILLRACE_TRY(check_own_databases(tokens));
  return check_insert(statement);
}

base::Result<void> Guard::check_insert(std::string_view insert) const {
  MILLRACE_TRY_ASSIGN(const auto tokens, lex(insert));
  const bool makes = !tokens.empty() && (tokens[0].is_word("CREATE") || tokens[0].is_word("REPLACE"));
  const bool makes_database =
      tokens.size() > 1 && tokens[0].is_word("CREATE") && tokens[1].is_word("DATABASE");
  bool makes_dictionary = false;
  for (std::size_t i = 1; makes && i < tokens.size() && i < 4; ++i)
    makes_dictionary |= tokens[i].is_word("DICTIONARY");
  int depth = 0;
  bool has_settings = false;
  bool in_query = false;  // Behind AS SELECT, where `engine` is a column like any other.
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (token.is_sign('(')) ++depth;
    if (token.is_sign(')')) --depth;
    if (!is_name(token)) continue;
    if (depth == 0 && token.is_word("SELECT")) in_query = true;
    const bool called = i + 1 < tokens.size() && tokens[i + 1].is_sign('(');
    const std::string name = base::to_lower(unquoted(token));

    if (called && refused_functions_.contains(name))
      return deny(
          fmt::format("{}() is not served here: it reaches outside the database; send rows by INSERT, read "
                      "them by SELECT",
                      base::printable(name, 40)));
    if (name == "format_schema" || name == "format_schema_source")
      return deny(
          "format schemas are read from files of the server, which is not served here; use a format without "
          "a schema");

    if (token.is_word("SETTINGS")) has_settings = true;
    // The engine reads the text a second time in the dialect that the statement itself sets.
    if (name == "dialect" && has_settings && i + 2 < tokens.size() && tokens[i + 1].is_sign('=') &&
        base::to_lower(unquoted(tokens[i + 2])) != "clickhouse")
      return deny("other dialects than clickhouse are not served here");
    if (token.is_word("PARALLEL") && i + 1 < tokens.size() && tokens[i + 1].is_word("WITH"))
      return deny("PARALLEL WITH is not served here: send one statement to a request");
    if (makes && depth == 0 && !in_query && token.is_word("ENGINE")) {
      const std::size_t at = i + (i + 1 < tokens.size() && tokens[i + 1].is_sign('=') ? 2 : 1);
      if (at >= tokens.size() || !is_name(tokens[at])) continue;
      const std::string engine = base::to_lower(unquoted(tokens[at]));
      if (!(makes_database ? kDatabaseEngines : kTableEngines).contains(engine))
        return deny(fmt::format(
            "the engine {} is not served here: {}", base::printable(engine, 40),
            makes_database ? "make a database without an ENGINE clause"
                           : "the MergeTree family, Memory, Null, Log, Join, Set, Buffer and Merge are"));
    }
    if (token.is_word("SOURCE") && called && makes_dictionary && i + 2 < tokens.size() &&
        is_name(tokens[i + 2])) {
      const std::string source = base::to_lower(unquoted(tokens[i + 2]));
      bool remote = !kDictionarySources.contains(source);
      for (std::size_t k = i + 3; k < tokens.size(); ++k)
        if (tokens[k].is_word("HOST") || tokens[k].is_word("PORT")) remote = true;
      if (remote)
        return deny(
            "dictionaries are filled from tables of this server only: use SOURCE(CLICKHOUSE(TABLE …)) "
            "without a host");
    }
  }
  return {};
}

}  // namespace millrace::warehouse
