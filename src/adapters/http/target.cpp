#include "adapters/http/target.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::adapters::http {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string_view without_scheme_and_host(std::string_view target) {
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos || target.find_first_of("/?") < scheme_end) return target;
  const std::size_t path = target.find_first_of("/?", scheme_end + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

}  // namespace

base::Result<std::string> percent_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? digit_of(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? digit_of(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return base::invalid(
            "the address has a '%' that two hexadecimal digits do not follow; write '%25' for a percent "
            "sign");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    if (is_control(c)) return base::invalid("the address holds a control character");
    out += c;
  }
  if (!base::is_utf8(out)) return base::invalid("the address is not UTF-8 after its %-escapes are decoded");
  return out;
}

base::Result<Target> parse_target(std::string_view target) {
  Target parsed;
  if (target == "*") return parsed;
  std::string_view rest = without_scheme_and_host(target);
  if (rest.empty() || (rest.front() != '/' && rest.front() != '?'))
    return base::invalid("the address must begin with '/'");
  if (rest.find('#') != std::string_view::npos)
    return base::invalid("the address must not hold a '#'; write '%23' for the character");

  const std::size_t question = rest.find('?');
  std::string_view path = rest.substr(0, question);
  if (!path.empty()) path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    MILLRACE_TRY_ASSIGN(std::string segment, percent_decode(path.substr(0, slash), false));
    parsed.path.push_back(std::move(segment));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }

  if (question == std::string_view::npos) return parsed;
  std::string_view query = rest.substr(question + 1);
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    if (!pair.empty()) {
      const std::size_t equals = pair.find('=');
      MILLRACE_TRY_ASSIGN(std::string name, percent_decode(pair.substr(0, equals), true));
      std::string value;
      if (equals != std::string_view::npos) {
        MILLRACE_TRY_ASSIGN(value, percent_decode(pair.substr(equals + 1), true));
      }
      parsed.query.emplace_back(std::move(name), std::move(value));
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return parsed;
}

}  // namespace millrace::adapters::http
