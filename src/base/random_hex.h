// Random names.
#pragma once

#include <cstddef>
#include <string>

namespace millrace::base {

/// `bytes` (1 to 32) random bytes as twice as many lower-case hexadecimal digits. Thread-safe.
[[nodiscard]] std::string random_hex(std::size_t bytes);

}  // namespace millrace::base
