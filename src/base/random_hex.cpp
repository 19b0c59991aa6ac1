#include "base/random_hex.h"

#include <array>
#include <span>

#include <openssl/rand.h>

#include "base/assert.h"
#include "base/hex.h"

namespace millrace::base {

std::string random_hex(std::size_t bytes) {
  std::array<unsigned char, 32> random{};
  MILLRACE_ASSERT(bytes <= random.size());
  const bool filled = RAND_bytes(random.data(), static_cast<int>(bytes)) == 1;
  MILLRACE_ASSERT(filled);
  return to_hex(std::span(random).first(bytes));
}

}  // namespace millrace::base
