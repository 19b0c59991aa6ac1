#include "base/text.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace millrace::base {
namespace {

/// Of the first UTF-8 character of a text that is not empty, in bytes; 0 if it begins with none.
std::size_t character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  std::size_t extra = 0;
  std::uint32_t least = 0;
  std::uint32_t code = 0;
  if (lead < 0x80) return 1;
  if ((lead & 0xe0u) == 0xc0u) {
    extra = 1;
    least = 0x80;
    code = lead & 0x1fu;
  } else if ((lead & 0xf0u) == 0xe0u) {
    extra = 2;
    least = 0x800;
    code = lead & 0x0fu;
  } else if ((lead & 0xf8u) == 0xf0u) {
    extra = 3;
    least = 0x10000;
    code = lead & 0x07u;
  } else {
    return 0;
  }
  if (text.size() <= extra) return 0;
  for (std::size_t k = 1; k <= extra; ++k) {
    const auto next = static_cast<unsigned char>(text[k]);
    if ((next & 0xc0u) != 0x80u) return 0;
    code = (code << 6) | (next & 0x3fu);
  }
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
  return extra + 1;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string to_upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::string printable(std::string_view text, std::size_t length_max) {
  std::string shown;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t length = character_length(text.substr(i));
    if (i + std::max<std::size_t>(length, 1) > length_max) break;
    const auto first = static_cast<unsigned char>(text[i]);
    if (length == 0 || first < 0x20 || first == 0x7f) {
      shown += '?';
      ++i;
    } else {
      shown += text.substr(i, length);
      i += length;
    }
  }
  if (i < text.size()) shown += "…";
  return shown;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    // Eight bytes at a time where all are ASCII.
    std::uint64_t block = 0;
    if (text.size() >= sizeof block) {
      std::memcpy(&block, text.data(), sizeof block);
      if ((block & 0x8080808080808080U) == 0) {
        text.remove_prefix(sizeof block);
        continue;
      }
    }
    const std::size_t length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace millrace::base
