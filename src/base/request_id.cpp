#include "base/request_id.h"

#include <algorithm>

#include "base/random_hex.h"

namespace millrace::base {
namespace {

constexpr std::size_t kLengthMax = 64;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

}  // namespace

std::string request_id(std::optional<std::string_view> from_client) {
  if (from_client && !from_client->empty() && from_client->size() <= kLengthMax &&
      std::ranges::all_of(*from_client, is_plain))
    return std::string(*from_client);
  return random_hex(16);
}

}  // namespace millrace::base
