// What must not be shown: secrets in configurations, passwords in URLs, people's addresses in messages.
#pragma once

#include <string>
#include <string_view>

namespace millrace::base {

/// True if a key of a configuration names a secret, in any spelling: "mysql.password", "apiKey",
/// "basic.auth.user.info", "AWS_ACCESS_KEY_ID", "sasl.jaas.config". When in doubt it does.
[[nodiscard]] bool is_secret_key(std::string_view key);

/// The text with what is before the host of each URL in it ("//user:password@host") as "***".
[[nodiscard]] std::string without_userinfo(std::string_view text);

/// The same, and the values of "name=value" whose name is that of a secret: "jdbc:…?user=a&password=***". A
/// text that holds the credentials of an HTTP header ("Bearer …", "Basic …") is "***" altogether.
[[nodiscard]] std::string without_secrets(std::string_view text);

/// For logs: without the user information of URLs, and with e-mail addresses as "***".
[[nodiscard]] std::string without_personal_data(std::string_view text);

}  // namespace millrace::base
