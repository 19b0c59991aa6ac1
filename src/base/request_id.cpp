#include "base/request_id.h"

#include <algorithm>
#include <array>

#include <openssl/rand.h>

#include "base/assert.h"

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
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, 16> bytes{};
  const bool filled = RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
  MILLRACE_ASSERT(filled);
  std::string id;
  for (const unsigned char byte : bytes) {
    id += kDigits[byte >> 4U];
    id += kDigits[byte & 0xFU];
  }
  return id;
}

}  // namespace millrace::base
