#include "warehouse/http/credentials.h"

#include <array>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/text.h"

namespace millrace::warehouse {
namespace {

std::string base64_decoded(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 8192) return {};
  std::string plain(text.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  plain.resize(static_cast<std::size_t>(size) - padding);
  return plain;
}

}  // namespace

bool same_secret(std::string_view given, std::string_view wanted) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> a{};
  std::array<unsigned char, SHA256_DIGEST_LENGTH> b{};
  SHA256(reinterpret_cast<const unsigned char*>(given.data()), given.size(), a.data());
  SHA256(reinterpret_cast<const unsigned char*>(wanted.data()), wanted.size(), b.data());
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Credentials credentials_of(const HttpRequest& request) {
  Credentials given;
  if (const std::string* user = request.header("x-clickhouse-user"); user != nullptr) {
    given.user = *user;
    if (const std::string* key = request.header("x-clickhouse-key"); key != nullptr) given.password = *key;
    return given;
  }
  if (const std::string* basic = request.header("authorization"); basic != nullptr) {
    if (base::to_lower(basic->substr(0, 6)) != "basic ") return given;
    const std::string pair = base64_decoded(base::trim(std::string_view(*basic).substr(6)));
    const auto colon = pair.find(':');
    given.user = pair.substr(0, colon);
    if (colon != std::string::npos) given.password = pair.substr(colon + 1);
    return given;
  }
  if (const std::string* user = request.parameter("user"); user != nullptr) given.user = *user;
  if (const std::string* password = request.parameter("password"); password != nullptr)
    given.password = *password;
  return given;
}

}  // namespace millrace::warehouse
