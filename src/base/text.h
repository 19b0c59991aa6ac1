// Reading numbers from text and showing untrusted text safely.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {

/// The whole text as a decimal integer, or nothing (also when it does not fit).
template <std::integral Number>
[[nodiscard]] std::optional<Number> parse_int(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Without blanks and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

/// ASCII letters only; other bytes stay as they are.
[[nodiscard]] std::string to_upper(std::string_view text);
[[nodiscard]] std::string to_lower(std::string_view text);

/// At most `length_max` bytes of the text, whole characters, for messages to people, logs and JSON: control
/// characters and bytes that are not UTF-8 as '?'.
[[nodiscard]] std::string printable(std::string_view text, std::size_t length_max);

/// True if the bytes are well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace millrace::base
