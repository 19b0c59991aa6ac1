#include "base/random_hex.h"

#include <array>

#include <openssl/rand.h>

#include "base/assert.h"

namespace millrace::base {

std::string random_hex(std::size_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, 32> random{};
  MILLRACE_ASSERT(bytes <= random.size());
  const bool filled = RAND_bytes(random.data(), static_cast<int>(bytes)) == 1;
  MILLRACE_ASSERT(filled);
  std::string text;
  text.reserve(2 * bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    text += kDigits[random[i] >> 4U];
    text += kDigits[random[i] & 0xFU];
  }
  return text;
}

}  // namespace millrace::base
