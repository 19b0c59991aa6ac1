#include "warehouse/sql/lexer.h"

#include <cctype>

#include "base/text.h"

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

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
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
  const auto is_figure = [&](char c) { return hexadecimal ? hex_digit(c) >= 0 : is_digit(c); };
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
  if (at(0) == '0' && (at(1) == 'x' || at(1) == 'X') && hex_digit(at(2)) >= 0) {
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
  const auto rest_starts = [this](std::string_view what) { return text_.substr(at_).starts_with(what); };

  // Blanks and comments.
  for (;;) {
    while (const std::size_t blank = blank_size(text_.substr(at_))) at_ += blank;
    if (rest_starts("--") || rest_starts("# ") || rest_starts("#!")) {
      const auto line_end = text_.find('\n', at_);
      if (line_end == std::string_view::npos && !complete_) return Step::kUnfinished;
      at_ = line_end == std::string_view::npos ? text_.size() : line_end + 1;
    } else if (rest_starts("/*")) {
      const std::size_t size = comment_end(text_.substr(at_));
      if (size == std::string_view::npos) return Step::kUnfinished;
      at_ += size;
    } else {
      break;
    }
  }
  if (at_ >= text_.size()) return Step::kEnd;

  const std::size_t begin = at_;
  const char first = text_[at_];
  const auto finish = [&](TokenKind kind, std::size_t end) {
    at_ = end;
    follow(kind, text_.substr(begin, end - begin));
    token = {kind, text_.substr(begin, end - begin), begin, end};
    return Step::kToken;
  };

  if (first == '\0') return Step::kUnreadable;
  // The front of a blank or a minus sign whose rest has not come yet.
  if (!complete_ && static_cast<unsigned char>(first) >= 0x80 && text_.size() - at_ < 3)
    return Step::kUnfinished;

  if (first == '\'' || first == '`' || first == '"') {
    for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == first) {
        if (i + 1 < text_.size() && text_[i + 1] == first) {
          ++i;
        } else {
          return finish(first == '\'' ? TokenKind::kString : TokenKind::kQuotedName, i + 1);
        }
      }
    }
    return Step::kUnfinished;
  }
  if (first == '$') {
    // Between two dollar signs and word characters only it is a heredoc's tag, if the same stands behind it
    // once more.
    std::size_t i = at_ + 1;
    while (i < text_.size() && continues_tag(text_[i])) ++i;
    if (i < text_.size() && text_[i] == '$') {
      const auto tag = text_.substr(at_, i + 1 - at_);
      const auto close = text_.find(tag, i + 1);
      if (close != std::string_view::npos) return finish(TokenKind::kString, close + tag.size());
    }
    if (!complete_ && (i == text_.size() || text_[i] == '$')) return Step::kUnfinished;
    if (i == at_ + 1) return finish(TokenKind::kSign, i);
    while (i < text_.size() && continues_word(text_[i])) ++i;
    return finish(TokenKind::kWord, i);
  }
  const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  // x'6162' and b'01' end at the next quote, whatever stands before it.
  if (next == '\'' && (first == 'x' || first == 'X' || first == 'b' || first == 'B')) {
    const auto close = text_.find('\'', at_ + 2);
    if (close == std::string_view::npos) return Step::kUnfinished;
    return finish(TokenKind::kString, close + 1);
  }
  if (starts_word(first)) {
    std::size_t i = at_ + 1;
    while (i < text_.size() && continues_word(text_[i])) ++i;
    return finish(TokenKind::kWord, i);
  }
  if (is_digit(first) || (first == '.' && !joins_names_ && is_digit(next))) {
    const std::size_t end = at_ + number_size(text_.substr(at_), after_dot_);
    // Two more characters can make it longer: 1e, then - and a figure.
    if (!complete_ && end + 2 > text_.size()) return Step::kUnfinished;
    // Letters behind it make a name of it: 1file.
    if (end >= text_.size() || !continues_tag(text_[end])) return finish(TokenKind::kNumber, end);
    std::size_t i = end + 1;
    while (i < text_.size() && continues_tag(text_[i])) ++i;
    return finish(TokenKind::kWord, i);
  }
  // U+2212, a minus sign, is the only other character that the engine knows outside of quotes.
  if (rest_starts("\xE2\x88\x92")) return finish(TokenKind::kSign, at_ + 3);
  if (static_cast<unsigned char>(first) >= 0x80) return Step::kUnreadable;
  return finish(TokenKind::kSign, at_ + 1);
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
        if (i + 2 < body.size() && hex_digit(body[i + 1]) >= 0 && hex_digit(body[i + 2]) >= 0) {
          plain += static_cast<char>(hex_digit(body[i + 1]) * 16 + hex_digit(body[i + 2]));
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
