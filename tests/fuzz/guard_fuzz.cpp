// What looks at SQL before the engine does: the lexer, the guard's rules, the check of VALUES, and what finds
// the end of an INSERT.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "warehouse/sql/guard.h"
#include "warehouse/sql/lexer.h"
#include "warehouse/sql/statement.h"

namespace {

using namespace millrace;
using namespace millrace::warehouse;

/// The texts stand as the engine would print them: every text is tried, also those that it never prints.
const Guard& guard() {
  static const Guard made({"file", "url", "numbers"},
                          [](std::string_view text) { return base::Result<std::string>(text); });
  return made;
}

void require(bool condition) {
  if (!condition) std::abort();
}

/// Tokens follow each other, are not empty, and lie inside of the text.
void check_tokens(std::string_view text) {
  const auto tokens = lex(text);
  if (!tokens) return;
  std::size_t at = 0;
  for (const Token& token : *tokens) {
    require(token.begin >= at && token.end > token.begin && token.end <= text.size());
    require(token.text == text.substr(token.begin, token.end - token.begin));
    static_cast<void>(unquoted(token));
    at = token.end;
  }
  for (const std::string& quoted : {quoted_string(text), quoted_name(text)}) {
    const auto again = lex(quoted);
    require(again && again->size() == 1 && unquoted(again->front()) == text);
  }
}

/// However the rows are cut, every byte is given on, or they are refused; and they are refused either way.
void check_values(std::string_view rows, std::size_t piece) {
  const auto run = [&](std::size_t size) {
    auto check = guard().rows_check("Values", 1u << 20);
    std::string given;
    for (std::string_view rest = rows; !rest.empty(); rest.remove_prefix(std::min(size, rest.size()))) {
      const auto part = check->feed(rest.substr(0, size), false);
      if (!part) return std::string("refused");
      given += *part;
    }
    const auto last = check->feed({}, true);
    if (!last) return std::string("refused");
    return "given " + given + std::string(*last);
  };
  const std::string whole = run(rows.size() + 1);
  require(whole == "refused" || whole == "given " + std::string(rows));
  require(run(piece) == whole);
}

/// What the front of a text says of the statement holds for all of it.
void check_examine(std::string_view text, std::size_t front) {
  const auto early = examine(text.substr(0, std::min(front, text.size())), false);
  const auto late = examine(text, true);
  if (!early || early->kind == Statement::Kind::kIncomplete) return;
  require(late && late->kind == early->kind);
  if (early->kind != Statement::Kind::kInsertData) return;
  require(late->insert == early->insert && late->format == early->format &&
          late->data_begin == early->data_begin);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t cut = data[0] + 1u;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  switch (data[1] % 4) {
    case 0:
      check_tokens(text);
      break;
    case 1:
      static_cast<void>(guard().check(text, static_cast<StatementClass>(data[0] % 5)));
      static_cast<void>(guard().check_insert(text));
      break;
    case 2:
      check_values(text, cut);
      break;
    default:
      check_examine(text, cut);
  }
  return 0;
}
