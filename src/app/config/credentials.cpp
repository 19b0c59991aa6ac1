#include "app/config/credentials.h"

#include <array>

#include <fmt/format.h>
#include <openssl/rand.h>
#include <toml++/toml.h>

#include "app/config/secret_files.h"
#include "base/assert.h"
#include "base/json.h"

namespace millrace::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDevelopmentPassword = "test123";
constexpr std::string_view kDevelopment = "development";
constexpr std::string_view kGenerated = "generated";
constexpr std::string_view kRoot = "root";

bool is_here(const std::string& host) {
  return host == "127.0.0.1" || host == "localhost" || host == "::1";
}

bool lacks_mysql(const Settings& settings) {
  return settings.mysql_embedded && settings.mysql_url.empty() && settings.mysql_password.empty() &&
         is_here(settings.mysql_host);
}
bool lacks_clickhouse(const Settings& settings) {
  return settings.clickhouse_embedded && settings.clickhouse_url.empty() &&
         settings.clickhouse_password.empty() && is_here(settings.clickhouse_host);
}

/// What a command that has no password is told to do.
std::string advice(const Settings& settings, StoresUsed used) {
  std::string names;
  if (used.mysql && lacks_mysql(settings)) names += "mysql.password";
  if (used.clickhouse && lacks_clickhouse(settings))
    names += names.empty() ? "clickhouse.password" : " and clickhouse.password";
  return fmt::format(
      "run this as the user of `millrace up`, with its --data-dir, or set {} (in the environment or by a "
      "*_file setting)",
      names);
}

base::Result<std::string> text_in(const toml::table& document, std::string_view section,
                                  std::string_view name) {
  const auto node = document[section][name];
  if (!node) return std::string();
  if (const auto text = node.value<std::string>(); text && node.is_string()) return *text;
  return base::invalid(fmt::format("{}.{} must be a text", section, name));
}

void append_entry(std::string& text, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  text += name;
  text += " = ";
  base::append_json_string(text, value);  // TOML's basic strings have the same escapes
  text += '\n';
}

}  // namespace

std::string generate_password() {
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  static_assert(kCharacters.size() == 64);
  std::array<unsigned char, 32> bytes{};
  const bool filled = RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
  MILLRACE_ASSERT(filled);
  std::string password;
  for (const unsigned char byte : bytes) password += kCharacters[byte % kCharacters.size()];
  // A client would take a password with a dash in front for a flag.
  if (password.front() == '-') password.front() = 'A';
  return password;
}

fs::path credentials_file(const Settings& settings) {
  return fs::absolute(settings.data_dir).lexically_normal() / "credentials.toml";
}

std::string to_toml(const Credentials& credentials) {
  std::string text = fmt::format(
      "# Passwords of the embedded servers, as `millrace up` has set them. Every command reads them here.\n"
      "# Remove this file while nothing runs, and the next start makes new ones.\n"
      "kind = \"{}\"\n",
      credentials.development ? kDevelopment : kGenerated);
  if (!credentials.mysql_password.empty() || !credentials.mysql_root_password.empty()) {
    text += "\n[mysql]\n";
    append_entry(text, "user", credentials.mysql_user);
    append_entry(text, "password", credentials.mysql_password);
    append_entry(text, "root_password", credentials.mysql_root_password);
  }
  if (!credentials.clickhouse_password.empty()) {
    text += "\n[clickhouse]\n";
    append_entry(text, "user", credentials.clickhouse_user);
    append_entry(text, "password", credentials.clickhouse_password);
  }
  return text;
}

base::Result<Credentials> parse_credentials(std::string_view text) {
  toml::table document;
  try {
    document = toml::parse(text);
  } catch (const toml::parse_error& error) {
    // Its own description may quote the line.
    return base::invalid(fmt::format("not valid TOML in line {}", error.source().begin.line));
  }
  Credentials credentials;
  const auto kind = document["kind"].value<std::string>();
  if (!kind || (*kind != kDevelopment && *kind != kGenerated))
    return base::invalid(fmt::format("kind must be {} or {}", kGenerated, kDevelopment));
  credentials.development = *kind == kDevelopment;
  const auto take = [&](std::string_view section, std::string_view name,
                        std::string& member) -> base::Result<void> {
    MILLRACE_TRY_ASSIGN(std::string value, text_in(document, section, name));
    if (!value.empty()) member = std::move(value);
    return {};
  };
  MILLRACE_TRY(take("mysql", "user", credentials.mysql_user));
  MILLRACE_TRY(take("mysql", "password", credentials.mysql_password));
  MILLRACE_TRY(take("mysql", "root_password", credentials.mysql_root_password));
  MILLRACE_TRY(take("clickhouse", "user", credentials.clickhouse_user));
  MILLRACE_TRY(take("clickhouse", "password", credentials.clickhouse_password));
  return credentials;
}

base::Result<Credentials> kept_credentials(const fs::path& file) {
  MILLRACE_TRY_ASSIGN(const std::string text, read_secret_file(file, "the servers' credentials"));
  auto parsed = parse_credentials(text);
  if (!parsed)
    return base::invalid(fmt::format("{} is damaged ({}): remove it, and `millrace up` makes new passwords",
                                     file.string(), parsed.error().message));
  return parsed;
}

base::Result<CredentialsInForce> set_up_credentials(Settings& settings, bool development) {
  const fs::path file = credentials_file(settings);
  auto before = kept_credentials(file);
  if (!before && before.error().kind != base::ErrorKind::kNotFound) return std::unexpected(before.error());
  CredentialsInForce force;
  force.kept.development = development;
  if (before && before->development == development) force.kept = *before;

  /// A password that is configured is not kept a second time.
  const auto settle = [&](std::string& kept, bool configured) {
    if (configured) {
      kept.clear();
    } else if (development) {
      kept = kDevelopmentPassword;
    } else if (kept.empty()) {
      kept = generate_password();
      force.made_now = true;
    }
  };
  const bool has_mysql = settings.mysql_embedded && settings.mysql_url.empty();
  const bool gives_mysql = !has_mysql || !settings.mysql_password.empty();
  const bool as_root = settings.mysql_user == kRoot;
  settle(force.kept.mysql_password, !has_mysql || (gives_mysql && !as_root));
  settle(force.kept.mysql_root_password, !has_mysql || (gives_mysql && as_root));
  if (has_mysql) {
    const std::string given = settings.mysql_password;
    settings.embedded_admin_password = gives_mysql && !as_root ? given : force.kept.mysql_password;
    settings.embedded_root_password = gives_mysql && as_root ? given : force.kept.mysql_root_password;
    settings.mysql_password = as_root ? settings.embedded_root_password : settings.embedded_admin_password;
  }
  const bool has_clickhouse = settings.clickhouse_embedded && settings.clickhouse_url.empty();
  settle(force.kept.clickhouse_password, !has_clickhouse || !settings.clickhouse_password.empty());
  if (!force.kept.clickhouse_password.empty()) {
    force.kept.clickhouse_user = settings.clickhouse_user;
    settings.clickhouse_password = force.kept.clickhouse_password;
  }

  const bool is_needed = before.has_value() || has_mysql || has_clickhouse;
  if (is_needed && (!before || *before != force.kept))
    MILLRACE_TRY(write_secret_file(file, to_toml(force.kept)));
  return force;
}

base::Result<void> use_credentials(Settings& settings, StoresUsed used) {
  const auto is_enough = [&] {
    return !(used.mysql && lacks_mysql(settings)) && !(used.clickhouse && lacks_clickhouse(settings));
  };
  if (is_enough()) return {};
  const fs::path file = credentials_file(settings);
  const auto kept = kept_credentials(file);
  if (!kept && kept.error().kind == base::ErrorKind::kNotFound)
    return base::not_found(fmt::format("no password for the servers: {} is not there; {}", file.string(),
                                       advice(settings, used)));
  if (!kept) return base::invalid(fmt::format("{}; {}", kept.error().message, advice(settings, used)));
  if (used.mysql && lacks_mysql(settings)) {
    settings.mysql_password = settings.mysql_user == kRoot              ? kept->mysql_root_password
                              : settings.mysql_user == kept->mysql_user ? kept->mysql_password
                                                                        : std::string();
  }
  if (used.clickhouse && lacks_clickhouse(settings)) {
    if (!settings.given.contains("clickhouse.user")) settings.clickhouse_user = kept->clickhouse_user;
    if (settings.clickhouse_user == kept->clickhouse_user)
      settings.clickhouse_password = kept->clickhouse_password;
  }
  if (!is_enough())
    return base::not_found(
        fmt::format("{} has not all passwords that this needs; {}", file.string(), advice(settings, used)));
  return {};
}

std::vector<std::string> shown_once(const Credentials& credentials, const fs::path& file) {
  std::vector<std::string> lines = {
      fmt::format("passwords, made now, shown this once and kept in {}:", file.string())};
  const auto add = [&](std::string_view server, std::string_view user, const std::string& password) {
    if (!password.empty()) lines.push_back(fmt::format("  {:<12}{:<8}{}", server, user, password));
  };
  add("MySQL", credentials.mysql_user, credentials.mysql_password);
  add("MySQL", kRoot, credentials.mysql_root_password);
  add("ClickHouse", credentials.clickhouse_user, credentials.clickhouse_password);
  return lines;
}

std::string credentials_note(const Credentials& credentials, const fs::path& file) {
  if (credentials.development)
    return "development credentials (--dev-credentials): the passwords are those of the README, which "
           "everybody "
           "knows; start without the flag for data of your own";
  if (credentials == Credentials{.mysql_user = credentials.mysql_user,
                                 .mysql_password = {},
                                 .mysql_root_password = {},
                                 .clickhouse_user = credentials.clickhouse_user,
                                 .clickhouse_password = {}})
    return "passwords: as configured";
  return fmt::format("passwords: {}", file.string());
}

}  // namespace millrace::app
