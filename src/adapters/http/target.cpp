#include "adapters/http/target.h"

#include <algorithm>

#include "base/text.h"
#include "base/url.h"

namespace millrace::adapters::http {
namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string_view without_scheme_and_host(std::string_view target) {
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos || target.find_first_of("/?") < scheme_end) return target;
  const std::size_t path = target.find_first_of("/?", scheme_end + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

/// What an address may hold after its escapes are decoded.
base::Result<void> check_text(std::string_view text) {
  if (std::ranges::any_of(text, is_control)) return base::invalid("the address holds a control character");
  if (!base::is_utf8(text)) return base::invalid("the address is not UTF-8 after its %-escapes are decoded");
  return {};
}

}  // namespace

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
    MILLRACE_TRY_ASSIGN(std::string segment, base::percent_decoded(path.substr(0, slash), false));
    MILLRACE_TRY(check_text(segment));
    parsed.path.push_back(std::move(segment));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }

  if (question == std::string_view::npos) return parsed;
  MILLRACE_TRY_ASSIGN(parsed.query, base::parse_query(rest.substr(question + 1)));
  for (const auto& [name, value] : parsed.query) {
    MILLRACE_TRY(check_text(name));
    MILLRACE_TRY(check_text(value));
  }
  return parsed;
}

}  // namespace millrace::adapters::http
