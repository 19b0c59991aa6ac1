#include "warehouse/sql/definition_rules.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "warehouse/engine/error_code.h"
#include "warehouse/sql/catalog.h"

namespace millrace::warehouse {
namespace {

// First words of what is served. Everything else changes the server itself or leaves the database.
constexpr std::array kVerbs = {"SELECT", "WITH",     "FROM",   "INSERT",   "CREATE",   "REPLACE", "ALTER",
                               "DROP",   "DELETE",   "UPDATE", "RENAME",   "EXCHANGE", "UNDROP",  "TRUNCATE",
                               "SHOW",   "DESCRIBE", "EXISTS", "OPTIMIZE", "EXPLAIN",  "CHECK",   "SET",
                               "USE",    "KILL",     "SYSTEM", "DESC"};
// What CREATE, ALTER, DROP and REPLACE may make, change or remove.
constexpr std::array kObjects = {"TABLE", "TABLES", "VIEW", "DATABASE", "DICTIONARY", "FUNCTION", "INDEX"};
// Words between the verb and the object.
constexpr std::array kObjectAdjectives = {"OR", "REPLACE", "MATERIALIZED"};

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
                                     "CLEAR QUERY CACHE",
                                     "CLEAR COMPILED EXPRESSION CACHE"};

// Commands of ALTER TABLE that may come with SETTINGS, which the engine counts among the changes of the
// server.
constexpr std::array kAlterCommands = {"ADD",    "DELETE",      "UPDATE", "DROP",    "MODIFY",
                                       "RENAME", "MATERIALIZE", "CLEAR",  "COMMENT", "APPLY"};

// Keys of a dictionary's CLICKHOUSE source that stay on this server.
constexpr std::array kSourceKeys = {"TABLE", "DB",           "QUERY",     "INVALIDATE_QUERY",
                                    "WHERE", "UPDATE_FIELD", "UPDATE_LAG"};

bool contains(const auto& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

bool word_at(const std::vector<Token>& tokens, std::size_t at, std::string_view upper) {
  return at < tokens.size() && tokens[at].is_word(upper);
}
bool sign_at(const std::vector<Token>& tokens, std::size_t at, char sign) {
  return at < tokens.size() && tokens[at].is_sign(sign);
}
std::string upper_at(const std::vector<Token>& tokens, std::size_t at) {
  return at < tokens.size() && tokens[at].kind == TokenKind::kWord ? base::to_upper(tokens[at].text)
                                                                   : std::string();
}

/// Where the object of CREATE, ALTER, DROP or REPLACE stands.
std::size_t object_position(const std::vector<Token>& tokens) {
  std::size_t at = 1;
  while (contains(kObjectAdjectives, upper_at(tokens, at))) ++at;
  return at;
}

bool is_allowed_system(const std::vector<Token>& tokens) {
  std::string words;
  for (std::size_t i = 1; i < 6; ++i) words += upper_at(tokens, i) + " ";
  return std::ranges::any_of(kSystemVerbs,
                             [&](const char* verb) { return words.starts_with(std::string(verb) + " "); });
}

/// ALTER TABLE t (COMMAND …), (COMMAND …) SETTINGS …, as the engine prints it; the settings are looked at
/// elsewhere.
bool is_alter_with_settings(const std::vector<Token>& tokens) {
  if (!tokens[0].is_word("ALTER") || !word_at(tokens, 1, "TABLE")) return false;
  int depth = 0;
  bool has_settings = false;
  for (std::size_t i = 2; i < tokens.size(); ++i) {
    if (tokens[i].is_sign('(') && depth++ == 0 && !contains(kAlterCommands, upper_at(tokens, i + 1)))
      return false;
    if (tokens[i].is_sign(')')) --depth;
    if (depth == 0 && tokens[i].is_word("SETTINGS")) has_settings = true;
  }
  return has_settings;
}

base::Result<void> check_control(const std::vector<Token>& tokens) {
  const Token& first = tokens.front();
  // Every request has a connection of its own that is closed with it, so these have no effect beyond it.
  if (first.is_word("SET") && !word_at(tokens, 1, "ROLE") && !word_at(tokens, 1, "DEFAULT")) return {};
  if (first.is_word("USE") || first.is_word("KILL")) return {};
  if (is_alter_with_settings(tokens)) return {};
  if (first.is_word("SYSTEM")) {
    if (is_allowed_system(tokens)) return {};
    return deny(
        "this SYSTEM statement is not served here; SYNC, FLUSH LOGS, START/STOP MERGES and views, and "
        "clearing caches "
        "are");
  }
  if (first.is_word("CREATE") && word_at(tokens, 1, "TEMPORARY"))
    return deny(
        "temporary tables live in a session, and requests have none here; make a table with ENGINE = Memory");
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
    if (tokens[i].is_word("INTO") && tokens[i + 1].is_word("OUTFILE"))
      return deny("INTO OUTFILE is not served here: the answer comes in the response's body");
  return deny(
      fmt::format("{} is not served here: it changes the configuration of the server or leaves the database",
                  base::to_upper(base::printable(first.text, 20))));
}

/// The engine opens every connection in `default` and answers about itself from the others.
base::Result<void> check_own_databases(const std::vector<Token>& tokens) {
  if (!(tokens[0].is_word("DROP") || tokens[0].is_word("RENAME")) || !word_at(tokens, 1, "DATABASE"))
    return {};
  for (std::size_t i = 2; i < tokens.size(); ++i) {
    const std::string name = base::to_lower(unquoted(tokens[i]));
    if (is_name(tokens[i]) && (name == "default" || name == "system" || name == "information_schema"))
      return deny(fmt::format("the database {} belongs to the engine: drop its tables instead", name));
  }
  return {};
}

base::Result<void> check_object(const std::vector<Token>& tokens) {
  const Token& first = tokens[0];
  if (!first.is_word("CREATE") && !first.is_word("ALTER") && !first.is_word("DROP") &&
      !first.is_word("REPLACE"))
    return {};
  if (word_at(tokens, 1, "TEMPORARY")) return check_control(tokens);
  const std::size_t at = object_position(tokens);
  if (!contains(kObjects, upper_at(tokens, at)))
    return deny(
        "users, grants, named collections and other things of the whole server are not managed over HTTP "
        "here");
  // Other functions than those of SQL come from programs and files.
  if (first.is_word("CREATE") && word_at(tokens, at, "FUNCTION")) {
    std::size_t behind = at + 1;
    if (word_at(tokens, behind, "IF")) behind += 3;
    if (!word_at(tokens, behind + 1, "AS"))
      return deny("functions are made of expressions here: CREATE FUNCTION name AS …");
  }
  return {};
}

base::Result<void> check_engine(const std::vector<Token>& tokens, std::size_t at, bool of_database) {
  const std::string name = unquoted(tokens[at]);
  const NameList& engines = of_database ? catalog().database_engines : catalog().table_engines;
  if (engines.verdict(name) == NameList::Verdict::kAllowed) return {};
  const std::string why = engines.verdict(name) == NameList::Verdict::kRefused
                              ? fmt::format(": it {}", engines.reason(name))
                              : "";
  return deny(fmt::format("the engine {} is not served here{}; {}", base::printable(name, 40), why,
                          of_database
                              ? "make a database without an ENGINE clause"
                              : "the MergeTree family, Memory, Null, Log, Join, Set, Buffer and Merge are"));
}

/// SOURCE(NAME(KEY value …)); `at` is NAME.
base::Result<void> check_source(const std::vector<Token>& tokens, std::size_t at,
                                std::vector<std::string>& nested) {
  const auto only_own = [] {
    return deny(
        "dictionaries are filled from tables of this server only: use SOURCE(CLICKHOUSE(TABLE …)) or QUERY, "
        "without a host, "
        "a user or a named collection");
  };
  if (at >= tokens.size() || !is_name(tokens[at]) ||
      catalog().dictionary_sources.verdict(unquoted(tokens[at])) != NameList::Verdict::kAllowed)
    return only_own();
  if (!sign_at(tokens, at + 1, '(')) return only_own();
  for (std::size_t i = at + 2; i < tokens.size() && !tokens[i].is_sign(')'); i += 2) {
    const std::string key = base::to_upper(unquoted(tokens[i]));
    if (!is_name(tokens[i]) || !contains(kSourceKeys, key) || i + 1 >= tokens.size()) return only_own();
    const Token& value = tokens[i + 1];
    if (!is_name(value) && value.kind != TokenKind::kString && value.kind != TokenKind::kNumber)
      return only_own();
    if (key == "QUERY" || key == "INVALIDATE_QUERY") nested.push_back(unquoted(value));
    if (key == "WHERE") nested.push_back("SELECT 1 WHERE (" + unquoted(value) + ")");
  }
  return {};
}

base::Result<void> check_dictionary(const std::vector<Token>& tokens, std::vector<std::string>& nested) {
  for (std::size_t i = 2; i + 2 < tokens.size(); ++i) {
    if (!sign_at(tokens, i + 1, '(')) continue;
    if (tokens[i].is_word("SOURCE")) MILLRACE_TRY(check_source(tokens, i + 2, nested));
    if (tokens[i].is_word("LAYOUT")) {
      const std::string name = unquoted(tokens[i + 2]);
      if (catalog().dictionary_layouts.verdict(name) != NameList::Verdict::kAllowed)
        return deny(fmt::format(
            "the layout {} is not served here: it keeps the dictionary in a file; use one in memory",
            base::printable(name, 40)));
    }
  }
  return {};
}

}  // namespace

base::Result<void> deny(std::string message) {
  return base::fail(base::ErrorKind::kRejected, std::move(message), kAccessDenied);
}

bool is_name(const Token& token) {
  return token.kind == TokenKind::kWord || token.kind == TokenKind::kQuotedName;
}

bool is_declared_name(const std::vector<Token>& tokens, std::size_t at) {
  std::size_t name = 0;
  if (tokens[0].is_word("INSERT") && word_at(tokens, 1, "INTO") && !word_at(tokens, 2, "FUNCTION")) {
    name = word_at(tokens, 2, "TABLE") && tokens.size() > 3 && is_name(tokens[3]) ? 3 : 2;
  } else if (tokens[0].is_word("CREATE") || tokens[0].is_word("REPLACE")) {
    const std::size_t object = object_position(tokens);
    const std::string what = upper_at(tokens, object);
    if (what != "TABLE" && what != "VIEW" && what != "DICTIONARY") return false;
    name = object + 1;
    if (word_at(tokens, name, "IF") && word_at(tokens, name + 1, "NOT")) name += 3;
  }
  return name != 0 && at == name;
}

base::Result<void> check_verb(const std::vector<Token>& tokens, StatementClass verdict) {
  const bool parenthesized = tokens[0].is_sign('(');
  if (!parenthesized && !contains(kVerbs, upper_at(tokens, 0))) return check_control(tokens);
  if (verdict == StatementClass::kControl) MILLRACE_TRY(check_control(tokens));
  MILLRACE_TRY(check_object(tokens));
  if (verdict == StatementClass::kMutatingGlobal && !word_at(tokens, object_position(tokens), "FUNCTION"))
    return deny(
        "users, grants, named collections and other things of the whole server are not managed over HTTP "
        "here");
  return check_own_databases(tokens);
}

base::Result<void> check_definition(const std::vector<Token>& tokens, std::vector<std::string>& nested) {
  bool defines = false;
  bool of_database = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    // Behind EXPLAIN, too.
    if (tokens[i].is_word("CREATE") || tokens[i].is_word("REPLACE") || tokens[i].is_word("ALTER"))
      defines = true;
    if (!defines) continue;
    if (tokens[i].is_word("DATABASE")) of_database = true;
    if (tokens[i].is_word("ENGINE") && sign_at(tokens, i + 1, '=') && i + 2 < tokens.size() &&
        is_name(tokens[i + 2]))
      MILLRACE_TRY(check_engine(tokens, i + 2, of_database && tokens[0].is_word("CREATE")));
    if (tokens[i].is_word("DEFINER") && sign_at(tokens, i + 1, '=') &&
        !word_at(tokens, i + 2, "CURRENT_USER"))
      return deny("views run with the rights of who reads them here: leave DEFINER out");
    if (tokens[i].is_word("SQL") && word_at(tokens, i + 1, "SECURITY") && word_at(tokens, i + 2, "NONE"))
      return deny("views run with the rights of who reads them here: leave SQL SECURITY NONE out");
    if (tokens[i].is_word("DICTIONARY") && i < 4) MILLRACE_TRY(check_dictionary(tokens, nested));
  }
  return {};
}

}  // namespace millrace::warehouse
