// Bytes as hexadecimal text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace millrace::base {

/// Two lower-case digits for each byte.
[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::string to_hex(std::span<const unsigned char> bytes);
/// Likewise, at the end of `out`.
void append_hex(std::string& out, std::string_view bytes);

/// The bytes that the digits mean, which may be of either case; nothing if that is not what the text is.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view digits);

/// 0 to 15; -1 if it is no hexadecimal digit.
[[nodiscard]] constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace millrace::base
