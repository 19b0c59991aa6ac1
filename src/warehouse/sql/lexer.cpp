#include "warehouse/sql/lexer.h"

#include <cctype>
#include <optional>

#include "base/hex.h"

namespace millrace::warehouse {
namespace {

bool starts_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalpha(byte) != 0 || c == '_';
}
bool continues_tag(char c) {
  return starts_word(c) || (c >= '0' && c <= '9');
}
bool continues_word(char c) {
  return continues_tag(c) || c == '$';
}

/// The bytes of the blank at the front of `text`; 0: there is none. Beside ASCII's, the engine skips those
/// that texts copied from elsewhere bring along. Source: a trial of every code point with ClickHouse 26.7.
std::size_t blank_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  switch (byte(0)) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case '\f':
    case '\v':
      return 1;
    case 0xC2:  // U+0085, U+00A0
      return byte(1) == 0x85 || byte(1) == 0xA0 ? 2 : 0;
    case 0xE1:  // U+180E
      return byte(1) == 0xA0 && byte(2) == 0x8E ? 3 : 0;
    case 0xE2:  // U+2000 to U+200D, U+2028, U+2029, U+202F, U+205F, U+2060
      if (byte(1) == 0x80)
        return (byte(2) >= 0x80 && byte(2) <= 0x8D) || byte(2) == 0xA8 || byte(2) == 0xA9 || byte(2) == 0xAF
                   ? 3
                   : 0;
      return byte(1) == 0x81 && (byte(2) == 0x9F || byte(2) == 0xA0) ? 3 : 0;
    case 0xE3:  // U+3000
      return byte(1) == 0x80 && byte(2) == 0x80 ? 3 : 0;
    case 0xEF:  // U+FEFF
      return byte(1) == 0xBB && byte(2) == 0xBF ? 3 : 0;
    default:
      return 0;
  }
}

/// Where the comment at the front of `text` ends; comments nest, as the engine's do. npos: not in `text`.
std::size_t comment_end(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i + 1 < text.size();) {
    if (text[i] == '/' && text[i + 1] == '*') {
      ++depth;
      i += 2;
    } else if (text[i] == '*' && text[i + 1] == '/') {
      i += 2;
      if (--depth == 0) return i;
    } else {
      ++i;
    }
  }
  return std::string_view::npos;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The bytes of the number at the front of `text`, as the engine's lexer counts them. `after_dot`: it is the
/// number of a tuple's element, and whole.
std::size_t number_size(std::string_view text, bool after_dot) {
  std::size_t i = 0;
  bool hexadecimal = false;
  const auto at = [&](std::size_t where) { return where < text.size() ? text[where] : '\0'; };
  const auto is_figure = [&](char c) { return hexadecimal ? base::hex_digit(c) >= 0 : is_digit(c); };
  const auto take_figures = [&] {
    bool first = true;
    // 1_000: between figures alone.
    while (is_figure(at(i)) || (at(i) == '_' && !first && is_figure(at(i + 1)))) {
      ++i;
      first = false;
    }
  };
  if (after_dot && at(0) != '.') {
    take_figures();
    return i;
  }
  if (at(0) == '0' && (at(1) == 'x' || at(1) == 'X') && base::hex_digit(at(2)) >= 0) {
    hexadecimal = true;
    i = 2;
  } else if (at(0) == '0' && (at(1) == 'b' || at(1) == 'B') && (at(2) == '0' || at(2) == '1')) {
    i = 2;
  }
  take_figures();
  if (at(i) == '.') {
    ++i;
    take_figures();
  }
  const bool has_exponent = hexadecimal ? at(i) == 'p' || at(i) == 'P' : at(i) == 'e' || at(i) == 'E';
  if (has_exponent && i + 1 < text.size()) {
    ++i;
    if ((at(i) == '-' || at(i) == '+') && i + 1 < text.size()) ++i;
    hexadecimal = false;
    take_figures();
  }
  return i;
}

/// The bytes of the blanks and comments at the front of `text`; nothing: the last comment does not end in it.
std::optional<std::size_t> blanks_size(std::string_view text, bool complete) {
  std::size_t at = 0;
  for (;;) {
    while (const std::size_t blank = blank_size(text.substr(at))) at += blank;
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("--") || rest.starts_with("# ") || rest.starts_with("#!")) {
      const auto line_end = rest.find('\n');
      if (line_end == std::string_view::npos && !complete) return std::nullopt;
      at = line_end == std::string_view::npos ? text.size() : at + line_end + 1;
    } else if (rest.starts_with("/*")) {
      const std::size_t size = comment_end(rest);
      if (size == std::string_view::npos) return std::nullopt;
      at += size;
    } else {
      return at;
    }
  }
}

/// What stands at the front of a text.
struct Found {
  Lexer::Step step = Lexer::Step::kToken;
  TokenKind kind = TokenKind::kSign;  // of a token
  std::size_t size = 0;               // likewise
};

constexpr Found kUnfinishedToken{.step = Lexer::Step::kUnfinished};

/// Of a text that begins with a quotation mark.
Found quoted_token(std::string_view text) {
  const char mark = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == mark) {
      if (i + 1 < text.size() && text[i + 1] == mark) {
        ++i;
      } else {
        return {.kind = mark == '\'' ? TokenKind::kString : TokenKind::kQuotedName, .size = i + 1};
      }
    }
  }
  return kUnfinishedToken;
}

/// Of a text that begins with a dollar sign.
Found dollar_token(std::string_view text, bool complete) {
  // Between two dollar signs and word characters only it is a heredoc's tag, if the same stands behind it
  // once more.
  std::size_t i = 1;
  while (i < text.size() && continues_tag(text[i])) ++i;
  if (i < text.size() && text[i] == '$') {
    const auto tag = text.substr(0, i + 1);
    const auto close = text.find(tag, i + 1);
    if (close != std::string_view::npos) return {.kind = TokenKind::kString, .size = close + tag.size()};
  }
  if (!complete && (i == text.size() || text[i] == '$')) return kUnfinishedToken;
  if (i == 1) return {.size = 1};
  while (i < text.size() && continues_word(text[i])) ++i;
  return {.kind = TokenKind::kWord, .size = i};
}

/// Of a text that begins with a number.
Found number_token(std::string_view text, bool complete, bool after_dot) {
  const std::size_t end = number_size(text, after_dot);
  // Two more characters can make it longer: 1e, then - and a figure.
  if (!complete && end + 2 > text.size()) return kUnfinishedToken;
  // Letters behind it make a name of it: 1file.
  if (end >= text.size() || !continues_tag(text[end])) return {.kind = TokenKind::kNumber, .size = end};
  std::size_t i = end + 1;
  while (i < text.size() && continues_tag(text[i])) ++i;
  return {.kind = TokenKind::kWord, .size = i};
}

/// Of a text that begins with no blank and no comment, and is not empty.
Found first_token(std::string_view text, bool complete, bool after_dot, bool joins_names) {
  const char first = text.front();
  if (first == '\0') return {.step = Lexer::Step::kUnreadable};
  // The front of a blank or a minus sign whose rest has not come yet.
  if (!complete && static_cast<unsigned char>(first) >= 0x80 && text.size() < 3) return kUnfinishedToken;
  if (first == '\'' || first == '`' || first == '"') return quoted_token(text);
  if (first == '$') return dollar_token(text, complete);
  const char next = text.size() > 1 ? text[1] : '\0';
  // x'6162' and b'01' end at the next quote, whatever stands before it.
  if (next == '\'' && (first == 'x' || first == 'X' || first == 'b' || first == 'B')) {
    const auto close = text.find('\'', 2);
    if (close == std::string_view::npos) return kUnfinishedToken;
    return {.kind = TokenKind::kString, .size = close + 1};
  }
  if (starts_word(first)) {
    std::size_t i = 1;
    while (i < text.size() && continues_word(text[i])) ++i;
    return {.kind = TokenKind::kWord, .size = i};
  }
  if (is_digit(first) || (first == '.' && !joins_names && is_digit(next)))
    return number_token(text, complete, after_dot);
  // U+2212, a minus sign, is the only other character that the engine knows outside of quotes.
  if (text.starts_with("\xE2\x88\x92")) return {.size = 3};
  if (static_cast<unsigned char>(first) >= 0x80) return {.step = Lexer::Step::kUnreadable};
  return {.size = 1};
}

std::string quote(std::string_view text, char mark) {
  std::string quoted(1, mark);
  for (const char c : text) {
    if (c == mark || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\0') {
      quoted += "\\0";
    } else {
      quoted += c;
    }
  }
  return quoted += mark;
}

}  // namespace

bool Token::is_word(std::string_view upper) const {
  if (kind != TokenKind::kWord || text.size() != upper.size()) return false;
  for (std::size_t i = 0; i < upper.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c) != upper[i]) return false;
  }
  return true;
}

void Lexer::follow(TokenKind kind, std::string_view text) {
  if (text.empty()) return;
  const char last = text.back();
  after_dot_ = kind == TokenKind::kSign && last == '.';
  joins_names_ = (kind != TokenKind::kSign && kind != TokenKind::kString) ||
                 (kind == TokenKind::kSign && (last == ')' || last == ']'));
}

Lexer::Step Lexer::next(Token& token) {
  const auto blank = blanks_size(text_.substr(at_), complete_);
  if (!blank) return Step::kUnfinished;
  at_ += *blank;
  if (at_ >= text_.size()) return Step::kEnd;
  const Found found = first_token(text_.substr(at_), complete_, after_dot_, joins_names_);
  if (found.step != Step::kToken) return found.step;
  token = {found.kind, text_.substr(at_, found.size), at_, at_ + found.size};
  at_ = token.end;
  follow(token.kind, token.text);
  return Step::kToken;
}

base::Result<std::vector<Token>> lex(std::string_view text) {
  std::vector<Token> tokens;
  Lexer lexer(text);
  for (;;) {
    Token token;
    switch (lexer.next(token)) {
      case Lexer::Step::kToken:
        tokens.push_back(token);
        break;
      case Lexer::Step::kEnd:
        return tokens;
      case Lexer::Step::kUnfinished:
        return base::fail(base::ErrorKind::kInvalid,
                          "Syntax error: the statement ends inside a quote or a comment; close it", 62);
      case Lexer::Step::kUnreadable:
        return base::fail(base::ErrorKind::kInvalid, std::string(kUnreadableText), 62);
    }
  }
}

std::string unquoted(const Token& token) {
  if (token.kind == TokenKind::kString && token.text.starts_with('$')) {
    const auto tag_size = token.text.find('$', 1) + 1;
    return std::string(token.text.substr(tag_size, token.text.size() - 2 * tag_size));
  }
  // A bare word, a number, or bits of b'01' and x'6162', which no name is made of.
  if (token.text.empty() || std::string_view("'`\"").find(token.text.front()) == std::string_view::npos)
    return std::string(token.text);
  const std::string_view body = token.text.substr(1, token.text.size() - 2);
  const char mark = token.text.front();
  std::string plain;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == mark) {
      plain += mark;
      ++i;
      continue;
    }
    if (body[i] != '\\' || i + 1 >= body.size()) {
      plain += body[i];
      continue;
    }
    const char escaped = body[++i];
    switch (escaped) {
      case 'b':
        plain += '\b';
        break;
      case 'f':
        plain += '\f';
        break;
      case 'n':
        plain += '\n';
        break;
      case 'r':
        plain += '\r';
        break;
      case 't':
        plain += '\t';
        break;
      case 'a':
        plain += '\a';
        break;
      case 'v':
        plain += '\v';
        break;
      case 'e':
        plain += '\x1b';
        break;
      case '0':
        plain += '\0';
        break;
      case 'N':
        break;
      case 'x':
        if (const auto byte = base::from_hex(body.substr(i + 1, 2)); byte && !byte->empty()) {
          plain += *byte;
          i += 2;
        }
        break;
      default:
        plain += escaped;
    }
  }
  return plain;
}

std::string quoted_string(std::string_view text) {
  return quote(text, '\'');
}
std::string quoted_name(std::string_view text) {
  return quote(text, '`');
}

}  // namespace millrace::warehouse
