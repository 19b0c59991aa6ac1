#include "web/router.h"

#include <algorithm>

namespace millrace::web {

std::optional<std::vector<std::string>> match_pattern(std::string_view pattern,
                                                      std::span<const std::string> path) {
  std::vector<std::string> arguments;
  pattern.remove_prefix(1);
  for (const std::string& segment : path) {
    const std::string_view expected = pattern.substr(0, pattern.find('/'));
    if (expected.empty()) return std::nullopt;
    if (expected.front() == '{')
      arguments.push_back(segment);
    else if (expected != segment)
      return std::nullopt;
    pattern.remove_prefix(std::min(expected.size() + 1, pattern.size()));
  }
  if (!pattern.empty()) return std::nullopt;
  return arguments;
}

void allow_verb(std::string& allowed, std::string_view verb) {
  if (!allowed.empty()) allowed += ", ";
  allowed += verb;
  if (verb == "GET") allowed += ", HEAD";
}

}  // namespace millrace::web
