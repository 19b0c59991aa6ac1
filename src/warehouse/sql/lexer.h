// Splits SQL text of ClickHouse's dialect into tokens, as far as the guard and the request handler need to
// know it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::warehouse {

enum class TokenKind {
  kWord,        ///< Keyword or bare identifier.
  kQuotedName,  ///< `name` or "name".
  kString,      ///< 'text' or $tag$text$tag$.
  kNumber,
  kSign,  ///< Any other single character.
};

struct Token {
  TokenKind kind = TokenKind::kSign;
  std::string_view text;  ///< As written, quotes included; points into the lexed text.
  std::size_t begin = 0;
  std::size_t end = 0;  ///< One past the last byte.

  /// The word equals `upper`, which is in upper case.
  [[nodiscard]] bool is_word(std::string_view upper) const;
  [[nodiscard]] bool is_sign(char c) const {
    return kind == TokenKind::kSign && text.size() == 1 && text.front() == c;
  }
};

/// Reads tokens one by one. One caller.
class Lexer {
 public:
  /// `complete`: `text` is all there is. Else a token that more text could change is kUnfinished.
  explicit Lexer(std::string_view text, bool complete = true) : text_(text), complete_(complete) {}

  /// The text goes on behind this token, which was read before; empty: behind none.
  void follow(TokenKind kind, std::string_view text);

  enum class Step {
    kToken,
    kEnd,
    kUnfinished,  ///< The text ends inside a quote or a comment; more of it may follow.
    kUnreadable,  ///< Outside of quotes, a character that is neither ASCII nor a blank that the engine skips:
                  ///< a zero byte, a typographic quote.
  };
  /// The next token without blanks and comments.
  Step next(Token& token);

 private:
  std::string_view text_;
  bool complete_;
  std::size_t at_ = 0;
  // Of the token before, because a dot and figures mean one thing behind a name and another elsewhere.
  bool after_dot_ = false;
  bool joins_names_ = false;
};

inline constexpr std::string_view kUnreadableText =
    "Syntax error: the statement holds a zero byte, a typographic quote or another character that SQL does "
    "not "
    "know outside of quotes; write plain quotes and blanks";

/// All tokens of a whole statement. Errors: kInvalid with vendor code 62 (SYNTAX_ERROR).
[[nodiscard]] base::Result<std::vector<Token>> lex(std::string_view text);

/// What a quoted name or string means: quotes removed, escapes resolved. Other tokens as they are.
[[nodiscard]] std::string unquoted(const Token& token);

/// `text` as a quoted SQL string.
[[nodiscard]] std::string quoted_string(std::string_view text);
/// `text` as a back-quoted SQL identifier.
[[nodiscard]] std::string quoted_name(std::string_view text);

}  // namespace millrace::warehouse
