#include "warehouse/lexer.h"

#include <cctype>

#include "base/text.h"

namespace millrace::warehouse {
namespace {

bool starts_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalpha(byte) != 0 || c == '_';
}
bool continues_word(char c) {
  return starts_word(c) || (c >= '0' && c <= '9') || c == '$';
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
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

Lexer::Step Lexer::next(Token& token) {
  const auto rest_starts = [this](std::string_view what) { return text_.substr(at_).starts_with(what); };

  // Blanks and comments.
  for (;;) {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    if (rest_starts("--") || rest_starts("# ") || rest_starts("#!")) {
      const auto line_end = text_.find('\n', at_);
      at_ = line_end == std::string_view::npos ? text_.size() : line_end + 1;
    } else if (rest_starts("/*")) {
      const auto comment_end = text_.find("*/", at_ + 2);
      if (comment_end == std::string_view::npos) return Step::kUnfinished;
      at_ = comment_end + 2;
    } else {
      break;
    }
  }
  if (at_ >= text_.size()) return Step::kEnd;

  const std::size_t begin = at_;
  const char first = text_[at_];
  const auto finish = [&](TokenKind kind, std::size_t end) {
    at_ = end;
    token = {kind, text_.substr(begin, end - begin), begin, end};
    return Step::kToken;
  };

  if (first == '\0') return Step::kUnreadable;
  if (rest_starts("\xE2\x80\x98") || rest_starts("\xE2\x80\x99") || rest_starts("\xE2\x80\x9C") ||
      rest_starts("\xE2\x80\x9D"))
    return Step::kUnreadable;

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
    std::size_t i = at_ + 1;
    while (i < text_.size() && (starts_word(text_[i]) || (text_[i] >= '0' && text_[i] <= '9'))) ++i;
    if (i < text_.size() && text_[i] == '$') {
      const auto tag = text_.substr(at_, i + 1 - at_);
      const auto close = text_.find(tag, i + 1);
      if (close == std::string_view::npos) return Step::kUnfinished;
      return finish(TokenKind::kString, close + tag.size());
    }
    return finish(TokenKind::kSign, at_ + 1);
  }
  if (starts_word(first)) {
    std::size_t i = at_ + 1;
    while (i < text_.size() && continues_word(text_[i])) ++i;
    return finish(TokenKind::kWord, i);
  }
  if (first >= '0' && first <= '9') {
    std::size_t i = at_ + 1;
    while (i < text_.size() && (continues_word(text_[i]) || text_[i] == '.')) ++i;
    return finish(TokenKind::kNumber, i);
  }
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
        return base::fail(
            base::ErrorKind::kInvalid,
            "Syntax error: the statement holds a zero byte or a typographic quote; write plain quotes", 62);
    }
  }
}

std::string unquoted(const Token& token) {
  if (token.kind == TokenKind::kString && token.text.starts_with('$')) {
    const auto tag_size = token.text.find('$', 1) + 1;
    return std::string(token.text.substr(tag_size, token.text.size() - 2 * tag_size));
  }
  if (token.kind != TokenKind::kString && token.kind != TokenKind::kQuotedName)
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
