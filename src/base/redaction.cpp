#include "base/redaction.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"

namespace millrace::base {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::string_view kEndsOfUrl = " \t\r\n\"'<>`";
constexpr std::string_view kEndsOfPair = " \t\r\n\"'&;,?(){}";

// Anywhere in the key, its separators left out.
constexpr std::array<std::string_view, 16> kSecretParts = {
    "password",      "passwd",     "passphrase", "pwd",
    "secret",        "token",      "apikey",     "credential",
    "jaas",          "privatekey", "accesskey",  "sslkey",
    "authorization", "bearer",     "userinfo",   "connectionstring"};
// Only as a word of their own: "author" and "bypass" are harmless.
constexpr std::array<std::string_view, 6> kSecretWords = {"auth", "pass", "pw", "pem", "private", "cookie"};

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

/// "basicAuth.userInfo" is {"basic", "auth", "user", "info"}.
std::vector<std::string> words_of(std::string_view key) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < key.size(); ++i) {
    const bool begins = i > 0 && is_upper(key[i]) && !is_upper(key[i - 1]);
    if ((begins || !is_alnum(key[i])) && !words.back().empty()) words.emplace_back();
    if (is_alnum(key[i])) words.back() += to_lower(key.substr(i, 1));
  }
  return words;
}

/// Bytes beyond ASCII belong to words of other languages, and so to their addresses.
bool is_of_address(char c) {
  return is_alnum(c) || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

bool is_secret_key(std::string_view key) {
  const auto words = words_of(key);
  std::string joined;
  for (const std::string& word : words) joined += word;
  return std::ranges::any_of(kSecretParts,
                             [&](std::string_view part) { return joined.find(part) != std::string::npos; }) ||
         std::ranges::any_of(words, [](const std::string& word) {
           return std::ranges::find(kSecretWords, word) != kSecretWords.end();
         });
}

std::string without_userinfo(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) break;
    const std::size_t authority = scheme + 3;
    shown += text.substr(0, authority);
    text.remove_prefix(authority);
    // A password that nobody escaped may hold a slash or an at sign: the last one before the end counts.
    const std::string_view url = text.substr(0, text.find_first_of(kEndsOfUrl));
    const std::size_t at = url.rfind('@');
    if (at == std::string_view::npos) continue;
    shown += kMask;
    text.remove_prefix(at);
  }
  shown += text;
  return shown;
}

std::string without_secrets(std::string_view given) {
  const std::string lower = to_lower(given);
  for (const std::string_view scheme : {"bearer ", "basic "})
    if (lower.find(scheme) != std::string::npos) return std::string(kMask);
  const std::string text = without_userinfo(given);
  std::string shown;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) break;
    const std::string_view before = rest.substr(0, equals);
    const std::size_t separator = before.find_last_of(kEndsOfPair);
    const std::string_view name = before.substr(separator == std::string_view::npos ? 0 : separator + 1);
    shown += rest.substr(0, equals + 1);
    rest.remove_prefix(equals + 1);
    if (!is_secret_key(name) || rest.empty()) continue;
    const bool quoted = rest.front() == '"' || rest.front() == '\'';
    const std::size_t end = quoted ? rest.find(rest.front(), 1) : rest.find_first_of(kEndsOfPair);
    shown += kMask;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + (quoted ? 1 : 0));
  }
  shown += rest;
  return shown;
}

std::string without_personal_data(std::string_view given) {
  const std::string text = without_userinfo(given);
  std::string shown;
  std::size_t done = 0;
  for (std::size_t at = text.find('@'); at != std::string::npos; at = text.find('@', at + 1)) {
    std::size_t begin = at;
    while (begin > done && (is_of_address(text[begin - 1]) ||
                            std::string_view("._%+-").find(text[begin - 1]) != std::string_view::npos))
      --begin;
    std::size_t end = at + 1;
    while (end < text.size() && (is_of_address(text[end]) || text[end] == '.' || text[end] == '-')) ++end;
    if (begin == at ||
        std::string_view(text).substr(at + 1, end - at - 1).find('.') == std::string_view::npos)
      continue;
    shown.append(text, done, begin - done);
    shown += kMask;
    done = end;
  }
  shown.append(text, done);
  return shown;
}

}  // namespace millrace::base
