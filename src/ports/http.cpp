#include "ports/http.h"

namespace millrace::ports {
namespace {

std::optional<std::string_view> first_of(const std::vector<std::pair<std::string, std::string>>& entries,
                                         std::string_view name) {
  for (const auto& [key, value] : entries)
    if (key == name) return value;
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  return first_of(headers, name);
}
std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
  return first_of(query, name);
}

}  // namespace millrace::ports
