#include "base/uuid.h"

#include <array>
#include <cstdint>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/assert.h"
#include "base/hex.h"

namespace millrace::base {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

// RFC 9562, section 6.6: the name space id for URLs.
constexpr Bytes kUrlNamespace = {0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
                                 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

std::string format(const Bytes& bytes) {
  std::string text = to_hex(bytes);
  for (const std::size_t dash : {8U, 13U, 18U, 23U}) text.insert(dash, 1, '-');
  return text;
}

void stamp(Bytes& bytes, unsigned version) {
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fu) | (version << 4u));
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fu) | 0x80u);
}

}  // namespace

std::string uuid_v7(UtcTime now) {
  Bytes bytes{};
  const bool filled = RAND_bytes(bytes.data() + 6, 10) == 1;
  MILLRACE_ASSERT(filled);
  const auto ms = static_cast<std::uint64_t>(to_ms(now));
  for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  stamp(bytes, 7);
  return format(bytes);
}

std::string uuid_v5_url(std::string_view name) {
  std::string input(kUrlNamespace.begin(), kUrlNamespace.end());
  input += name;
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  const bool hashed =
      EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha1(), nullptr) == 1;
  MILLRACE_ASSERT(hashed);
  Bytes bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = digest[i];
  stamp(bytes, 5);
  return format(bytes);
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return false;
    } else if (hex_digit(c) < 0) {
      return false;
    }
  }
  return true;
}

}  // namespace millrace::base
