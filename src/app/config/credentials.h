// The passwords of the embedded servers, kept in the data directory for every command that talks to them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/settings.h"
#include "base/result.h"

namespace millrace::app {

/// What the file credentials.toml holds. A password that is configured elsewhere is empty here.
struct Credentials {
  bool development = false;  ///< The known ones of --dev-credentials.
  std::string mysql_user = "admin";
  std::string mysql_password;
  std::string mysql_root_password;
  std::string clickhouse_user = "admin";
  std::string clickhouse_password;

  [[nodiscard]] bool operator==(const Credentials&) const = default;
};

/// 32 characters of A-Z a-z 0-9 - _: 192 random bits, that need no escaping in a URL.
[[nodiscard]] std::string generate_password();

[[nodiscard]] std::filesystem::path credentials_file(const Settings& settings);

[[nodiscard]] std::string to_toml(const Credentials& credentials);
/// Errors: kInvalid.
[[nodiscard]] base::Result<Credentials> parse_credentials(std::string_view toml);

/// Errors: kNotFound; kInvalid (damaged, open to others, cannot be read).
[[nodiscard]] base::Result<Credentials> kept_credentials(const std::filesystem::path& file);

/// What `up` uses.
struct CredentialsInForce {
  Credentials kept;       ///< As the file has them.
  bool made_now = false;  ///< Passwords were generated: show them, this once.
};

/// For `up`, which holds the data directory: takes the passwords that no setting gives from the file, or,
/// where it has none or those of the other kind, the known ones (`development`) or random ones, and writes
/// the file. Fills in the settings' passwords. Errors: kInvalid (the file is damaged, open to others, or
/// cannot be written).
[[nodiscard]] base::Result<CredentialsInForce> set_up_credentials(Settings& settings, bool development);

/// The stores that a command talks to.
struct StoresUsed {
  bool mysql = true;
  bool clickhouse = true;
};

/// For all other commands: fills in the passwords of embedded servers on this machine that they use and no
/// setting gives. Errors, which say what to do: kNotFound (no file, or no password in it), kInvalid (it
/// cannot be read).
[[nodiscard]] base::Result<void> use_credentials(Settings& settings, StoresUsed used = {});

/// For a person, a line each: which passwords there are. Never for a log.
[[nodiscard]] std::vector<std::string> shown_once(const Credentials& credentials,
                                                  const std::filesystem::path& file);
/// For a person and for logs: what kind of credentials these are, and where. Holds no password.
[[nodiscard]] std::string credentials_note(const Credentials& credentials, const std::filesystem::path& file);

}  // namespace millrace::app
