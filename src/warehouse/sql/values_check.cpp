#include "warehouse/sql/values_check.h"

#include <fmt/format.h>

#include "base/text.h"
#include "warehouse/engine/error_code.h"
#include "warehouse/sql/definition_rules.h"

namespace millrace::warehouse {

base::Result<void> ValuesCheck::check_query(const Token& previous, const Token& token) {
  has_query_ |= begins_query(previous, token);
  // As a table function it reads a text as rows, or as expressions.
  has_format_ |= token.is_sign('(') && is_name(previous) && base::to_lower(unquoted(previous)) == "format";
  if (!has_query_ || (!has_format_ && !token.is_word("SETTINGS"))) return {};
  return deny(
      "format() and SETTINGS are not served beside queries among the rows of VALUES; use INSERT INTO … "
      "SELECT");
}

base::Result<std::string_view> ValuesCheck::feed(std::string_view piece, bool last) {
  text_.erase(0, given_);
  given_ = 0;
  text_ += piece;
  Lexer lexer(text_, last);
  lexer.follow(previous_kind_, previous_text_);
  std::size_t checked = 0;
  for (;;) {
    Token token;
    const Lexer::Step step = lexer.next(token);
    if (step == Lexer::Step::kUnreadable)
      return base::fail(base::ErrorKind::kInvalid, std::string(kUnreadableText), kSyntaxError);
    if (step == Lexer::Step::kEnd) {
      checked = text_.size();
      break;
    }
    // What touches the end may go on in the next piece. What never ends is the engine's to refuse: it is no
    // call.
    if (step == Lexer::Step::kUnfinished || (!last && token.end == text_.size())) {
      if (last) checked = text_.size();
      break;
    }
    const Token previous{previous_kind_, previous_text_, 0, 0};
    MILLRACE_TRY(rules_.check_in_values(previous, token));
    MILLRACE_TRY(check_query(previous, token));
    previous_kind_ = token.kind;
    // Of a value nothing is compared; it may be long.
    previous_text_ = token.kind == TokenKind::kString ? "''" : std::string(token.text);
    checked = token.end;
  }
  if (text_.size() - checked > token_bytes_max_)
    return base::fail(
        base::ErrorKind::kInvalid,
        fmt::format(
            "a value of VALUES is larger than {} bytes; send such rows in another format, for example "
            "JSONEachRow",
            token_bytes_max_),
        kQueryIsTooLarge);
  given_ = checked;
  return std::string_view(text_).substr(0, checked);
}

}  // namespace millrace::warehouse
