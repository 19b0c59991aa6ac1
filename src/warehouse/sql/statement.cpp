#include "warehouse/sql/statement.h"

#include "warehouse/engine/error_code.h"
#include "warehouse/sql/lexer.h"

namespace millrace::warehouse {
namespace {

using Step = Lexer::Step;

std::unexpected<base::Error> unreadable() {
  return base::fail(base::ErrorKind::kInvalid, std::string(kUnreadableText), kSyntaxError);
}

/// The rows begin behind the blanks and at most one line end that follow the format's name: further ones are
/// data. Source: ClickHouse's own rule for INSERT … FORMAT.
std::size_t data_after(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\f')) ++at;
  if (at < text.size() && text[at] == '\r') ++at;
  if (at < text.size() && text[at] == '\n') ++at;
  return at;
}

}  // namespace

base::Result<Statement> examine(std::string_view text, bool complete) {
  Lexer lexer(text, complete);
  Token token;
  // A token that touches the end may go on in the next piece.
  const auto step = [&] {
    const Step taken = lexer.next(token);
    if (taken == Step::kToken && !complete && token.end == text.size()) return Step::kUnfinished;
    return taken;
  };
  const Statement other{Statement::Kind::kOther, {}, {}, 0};
  const auto undecided = [&](Step at) -> base::Result<Statement> {
    if (at == Step::kUnreadable) return unreadable();
    return complete ? other : Statement{};
  };

  if (const Step taken = step(); taken != Step::kToken) return undecided(taken);
  if (!token.is_word("INSERT")) return other;

  std::size_t depth = 0;
  std::size_t last_end = token.end;
  for (;;) {
    const Step taken = step();
    if (taken == Step::kEnd && complete) {
      Statement bare{Statement::Kind::kInsertData, std::string(text.substr(0, last_end)), {}, text.size()};
      return bare;
    }
    if (taken != Step::kToken) return undecided(taken);
    if (token.is_sign('(')) {
      // "INSERT INTO t (SELECT …)" has a query where a list of columns would stand.
      Lexer look = lexer;
      Token inner;
      const Step inside = look.next(inner);
      if (inside == Step::kToken && depth == 0 && (inner.is_word("SELECT") || inner.is_word("WITH")) &&
          (complete || inner.end < text.size()))
        return other;
      ++depth;
    } else if (token.is_sign(')')) {
      if (depth == 0) return other;
      --depth;
    } else if (depth == 0) {
      if (token.is_word("SELECT") || token.is_word("WITH") || token.is_word("FUNCTION")) return other;
      if (token.is_word("FROM")) {
        const Step after = step();
        if (after != Step::kToken) return undecided(after);
        if (token.is_word("INFILE"))
          return base::fail(base::ErrorKind::kInvalid,
                            "INSERT … FROM INFILE is not served here: send the rows in the request's body",
                            497);
        return other;
      }
      if (token.is_word("VALUES")) {
        Statement values{Statement::Kind::kInsertData, std::string(text.substr(0, token.begin)), "Values",
                         token.end};
        return values;
      }
      if (token.is_word("FORMAT")) {
        const std::size_t insert_end = token.begin;
        const Step after = step();
        if (after == Step::kToken && token.kind == TokenKind::kWord) {
          const std::size_t name_end = token.end;
          const std::size_t data_begin = data_after(text, name_end);
          // The line end that belongs to the statement may still be under way.
          if (data_begin == text.size() && !complete) return Statement{};
          Statement rows{Statement::Kind::kInsertData, std::string(text.substr(0, insert_end)),
                         std::string(token.text), data_begin};
          return rows;
        }
        if (after != Step::kToken) return undecided(after);
      }
      if (token.is_sign(';')) {
        Statement bare{Statement::Kind::kInsertData, std::string(text.substr(0, token.begin)), {}, token.end};
        return bare;
      }
    }
    last_end = token.end;
  }
}

std::string format_clause(std::string_view text) {
  const auto tokens = lex(text);
  if (!tokens) return {};
  std::string found;
  int depth = 0;
  for (std::size_t i = 0; i + 1 < tokens->size(); ++i) {
    const Token& token = (*tokens)[i];
    if (token.is_sign('(') || token.is_sign('[')) ++depth;
    if (token.is_sign(')') || token.is_sign(']')) --depth;
    // The engine quotes a name that is a keyword, too: FORMAT `Values`.
    const TokenKind next = (*tokens)[i + 1].kind;
    if (depth != 0 || !token.is_word("FORMAT") ||
        (next != TokenKind::kWord && next != TokenKind::kQuotedName))
      continue;
    const bool at_end = i + 2 == tokens->size();
    if (at_end || (*tokens)[i + 2].is_sign(';') || (*tokens)[i + 2].is_word("SETTINGS") ||
        (*tokens)[i + 2].is_word("INTO"))
      found = unquoted((*tokens)[i + 1]);
  }
  return found;
}

bool is_select(std::string_view text) {
  Lexer lexer(text);
  Token token;
  while (lexer.next(token) == Step::kToken) {
    if (token.is_sign('(')) continue;
    return token.is_word("SELECT") || token.is_word("WITH") || token.is_word("FROM");
  }
  return false;
}

bool is_blank_statement(std::string_view text) {
  Lexer lexer(text);
  Token token;
  for (;;) {
    const Step taken = lexer.next(token);
    if (taken == Step::kEnd) return true;
    if (taken != Step::kToken || !token.is_sign(';')) return false;
  }
}

}  // namespace millrace::warehouse
