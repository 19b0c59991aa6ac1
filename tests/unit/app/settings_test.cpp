#include "app/config/settings.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "app/config/secret_files.h"
#include "app/wiring/warehouse_schema.h"
#include "base/redaction.h"
#include "support/temporary_directory.h"

namespace millrace::app {
namespace {

const char* no_environment(const std::string&) {
  return nullptr;
}

std::string file_with(const support::TemporaryDirectory& directory, const std::string& text) {
  const std::string path = directory.path() / "millrace.toml";
  std::ofstream(path) << text;
  return path;
}

TEST(Settings, LaterSourcesWin) {
  const support::TemporaryDirectory directory;
  const std::string file =
      file_with(directory, "[api]\nport = 1001\nhost = \"127.0.0.2\"\n[sink]\nmax_delay = \"5s\"\n");
  const auto environment = [](const std::string& name) -> const char* {
    return name == "MILLRACE_API_PORT" ? "1002" : nullptr;
  };
  EXPECT_EQ(load_settings("", no_environment, {})->api_port, 3000);
  const auto from_file = load_settings(file, no_environment, {});
  ASSERT_TRUE(from_file) << from_file.error().message;
  EXPECT_EQ(from_file->api_port, 1001);
  EXPECT_EQ(from_file->sink_max_delay, std::chrono::seconds(5));
  EXPECT_EQ(load_settings(file, environment, {})->api_port, 1002);
  EXPECT_EQ(load_settings(file, environment, {{"api.port", "1003"}})->api_port, 1003);
  EXPECT_EQ(load_settings(file, environment, {{"api.port", "1003"}})->api_host, "127.0.0.2");
}

TEST(Settings, RefuseWhatIsWrongAndNameTheLine) {
  const support::TemporaryDirectory directory;
  const auto refused = [&](const std::string& text, const std::string& names) {
    const auto loaded = load_settings(file_with(directory, text), no_environment, {});
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().kind, base::ErrorKind::kInvalid);
    EXPECT_NE(loaded.error().message.find(names), std::string::npos) << loaded.error().message;
  };
  refused("[api]\nprot = 3000\n", "millrace.toml:2: unknown setting 'api.prot'");
  refused("port = 3000\n", "section");
  refused("[api]\nport = 70000\n", "from 0 to 65535");
  refused("[api]\nport = 1.5\n", "api.port");
  refused("[api]\nport = \"x\"\n", "whole number");
  refused("[sink]\nmax_delay = 5\n", "unit");
  refused("[sink]\nmax_delay = \"5 weeks\"\n", "unit");
  refused("[mysql]\nembedded = \"yes\"\n", "true or false");
  refused("[api\n", "TOML");
  refused("[transform]\nwindow = 1500\n", "twice");
  EXPECT_EQ(load_settings("/nowhere/millrace.toml", no_environment, {}).error().kind,
            base::ErrorKind::kNotFound);
}

TEST(Settings, NamesOfPagesAndHostsAreChecked) {
  EXPECT_TRUE(load_settings("", no_environment,
                            {{"cors.origins", "https://shop.example, http://localhost:5173"},
                             {"http.allowed_hosts", "shop.lan:3000, proxy"}}));
  for (const char* origins : {"*", "null", "shop.example", "https://shop.example/path"}) {
    const auto wrong = load_settings("", no_environment, {{"cors.origins", origins}});
    ASSERT_FALSE(wrong) << origins;
    EXPECT_NE(wrong.error().message.find("cors.origins"), std::string::npos);
  }
  EXPECT_FALSE(load_settings("", no_environment, {{"http.allowed_hosts", "http://shop.lan"}}));
}

TEST(Settings, AnEndpointForSpansIsAnAddressAndNothingMore) {
  for (const char* endpoint :
       {"", "http://localhost:4318", "https://collector.example/otlp/", "http://[::1]:4318"})
    EXPECT_TRUE(load_settings("", no_environment, {{"otlp.endpoint", endpoint}})) << endpoint;
  for (const char* endpoint :
       {"localhost:4318", "ftp://localhost", "http://", "http:///v1", "http://host:99999", "http://a b",
        "http://user:hidden@host", "http://host/?a=b", "http://host#a", "/v1/traces"}) {
    const auto wrong = load_settings("", no_environment, {{"otlp.endpoint", endpoint}});
    ASSERT_FALSE(wrong) << endpoint;
    EXPECT_EQ(wrong.error().kind, base::ErrorKind::kInvalid);
    EXPECT_NE(wrong.error().message.find("otlp.endpoint"), std::string::npos) << wrong.error().message;
    EXPECT_EQ(wrong.error().message.find("hidden"), std::string::npos) << wrong.error().message;
  }
}

TEST(Settings, NeverShowSecrets) {
  const auto loaded = load_settings(
      "",
      [](const std::string& name) -> const char* {
        if (name == "MILLRACE_MYSQL_URL") return "mysql://root:hidden@h/db";
        if (name == "MILLRACE_CLICKHOUSE_CA_FILE") return "file://user:hidden@h/ca";
        return name.ends_with("_PASSWORD") || name == "MILLRACE_KAFKA_CLIENT" ? "hidden" : nullptr;
      },
      {});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->mysql_password, "hidden");
  for (const SettingInfo& info : all_settings())
    EXPECT_EQ(shown_value(*loaded, info).find("hidden"), std::string::npos) << info.key;
}

std::vector<std::string> secret_keys() {
  std::vector<std::string> keys;
  for (const SettingInfo& info : all_settings())
    if (info.secret) keys.emplace_back(info.key);
  return keys;
}

TEST(Settings, AreSecretWhereTheirNameSaysSo) {
  EXPECT_EQ(secret_keys(),
            (std::vector<std::string>{"mysql.url", "mysql.password", "clickhouse.password", "kafka.client"}));
  for (const SettingInfo& info : all_settings())
    EXPECT_TRUE(!base::is_secret_key(info.key) || info.secret || info.key.ends_with("_file")) << info.key;
}

TEST(Settings, RefuseASecretAsAFlagAndNameTheOtherWays) {
  for (const std::string& key : secret_keys()) {
    const auto loaded = load_settings("", no_environment, {{key, "hidden"}});
    ASSERT_FALSE(loaded) << key;
    EXPECT_EQ(loaded.error().kind, base::ErrorKind::kInvalid);
    const auto& info = *std::ranges::find(all_settings(), key, &SettingInfo::key);
    const std::string& said = loaded.error().message;
    EXPECT_EQ(said.find("hidden"), std::string::npos) << said;
    for (const std::string& way : {info.variable(), info.flag() + "-file FILE", key})
      EXPECT_NE(said.find(way), std::string::npos) << said;
  }
}

/// A file of the given mode.
std::string secret_file(const support::TemporaryDirectory& directory, const std::string& text,
                        std::filesystem::perms mode = std::filesystem::perms::owner_read) {
  const std::string path = directory.path() / "secret";
  std::filesystem::remove(path);
  std::ofstream(path) << text;
  std::filesystem::permissions(path, mode);
  return path;
}

TEST(Settings, ReadSecretsFromFiles) {
  const support::TemporaryDirectory directory;
  const auto loaded = [&](const std::string& key, const std::string& text) {
    return load_settings("", no_environment, {{key, secret_file(directory, text)}});
  };
  EXPECT_EQ(loaded("mysql.password_file", "p q \r\nnot this\n")->mysql_password, "p q ");
  EXPECT_EQ(loaded("clickhouse.password_file", "p")->clickhouse_password, "p");
  EXPECT_EQ(loaded("mysql.url_file", "mysql://u:p@h/d\n")->mysql_url, "mysql://u:p@h/d");
  EXPECT_EQ(loaded("kafka.client_file", "# the broker's\na=b;\n\n c=d \ne=f")->kafka_client, "a=b;c=d;e=f");
  EXPECT_TRUE(loaded("mysql.password_file", "p")->given.contains("mysql.password"));
  EXPECT_EQ(loaded("mysql.password_file", "\n").error().kind, base::ErrorKind::kInvalid);
  EXPECT_EQ(load_settings("", no_environment, {{"mysql.password_file", "/nowhere/x"}}).error().kind,
            base::ErrorKind::kNotFound);
  EXPECT_EQ(load_settings("", no_environment, {{"mysql.password_file", "/dev/null"}}).error().kind,
            base::ErrorKind::kInvalid);
  EXPECT_EQ(loaded("mysql.password_file", std::string(70'000, 'x')).error().kind, base::ErrorKind::kInvalid);
}

TEST(Settings, RefuseASecretsFileThatOthersCanReadAndSayTheCure) {
  using std::filesystem::perms;
  const support::TemporaryDirectory directory;
  for (const perms open : {perms::others_read, perms::others_write, perms::group_write}) {
    const std::string file = secret_file(directory, "hidden", perms::owner_read | open);
    const auto loaded = load_settings("", no_environment, {{"mysql.password_file", file}});
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().kind, base::ErrorKind::kInvalid);
    EXPECT_NE(loaded.error().message.find("chmod 600 " + file), std::string::npos) << loaded.error().message;
    EXPECT_EQ(loaded.error().message.find("hidden"), std::string::npos);
  }
  EXPECT_FALSE(is_private(0640, 1000));
  EXPECT_TRUE(is_private(0640, 0)) << "root gives a group the right to read";
  EXPECT_FALSE(is_private(0660, 0));
  EXPECT_TRUE(is_private(0600, 1000));
}

TEST(Settings, TakeOfASecretAndItsFileTheLaterSource) {
  const support::TemporaryDirectory directory;
  const std::string secret = secret_file(directory, "from the file");
  const std::string file = file_with(directory, "[mysql]\npassword = \"from millrace.toml\"\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  const auto environment = [](const std::string& name) -> const char* {
    return name == "MILLRACE_MYSQL_PASSWORD" ? "from the environment" : nullptr;
  };
  EXPECT_EQ(load_settings(file, environment, {})->mysql_password, "from the environment");
  EXPECT_EQ(load_settings(file, environment, {{"mysql.password_file", secret}})->mysql_password,
            "from the file");
  const auto both = [&](const std::string& name) -> const char* {
    if (name == "MILLRACE_MYSQL_PASSWORD") return "x";
    return name == "MILLRACE_MYSQL_PASSWORD_FILE" ? secret.c_str() : nullptr;
  };
  EXPECT_EQ(load_settings(file, both, {}).error().kind, base::ErrorKind::kInvalid) << "which one is meant?";
}

TEST(Settings, WarnOfAFileWithASecretThatOthersCanRead) {
  const support::TemporaryDirectory directory;
  const auto warnings = [&](const std::string& text, std::filesystem::perms mode) {
    const std::string file = file_with(directory, text);
    std::filesystem::permissions(file, mode);
    return load_settings(file, no_environment, {})->warnings;
  };
  using std::filesystem::perms;
  constexpr perms kOwn = perms::owner_read | perms::owner_write;
  const std::string secret = "[clickhouse]\npassword = \"hidden\"\n";
  const auto told = warnings(secret, kOwn | perms::others_read);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("chmod 600"), std::string::npos) << told[0];
  EXPECT_EQ(told[0].find("hidden"), std::string::npos);
  EXPECT_TRUE(warnings(secret, kOwn).empty());
  EXPECT_TRUE(warnings("[clickhouse]\nport = 1\n", kOwn | perms::others_read).empty());
}

TEST(Settings, RefuseBrokersWithMoreThanAddresses) {
  const auto loaded = load_settings("", no_environment, {{"kafka.brokers", "h:1,user:hidden@g:2"}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message.find("hidden"), std::string::npos) << loaded.error().message;
  EXPECT_NE(loaded.error().message.find("kafka.client_file"), std::string::npos);
}

TEST(Settings, RefuseAWarehousesUrlWithMoreThanAnAddress) {
  for (const char* url : {"http://admin:hidden@h:1", "http://h:1/?user=admin&password=hidden"}) {
    const auto loaded = load_settings("", no_environment, {{"clickhouse.url", url}});
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message.find("hidden"), std::string::npos) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find("clickhouse.password_file"), std::string::npos);
  }
}

TEST(Settings, TheExampleFileIsTheDefaults) {
  const support::TemporaryDirectory directory;
  const auto loaded = load_settings(file_with(directory, example_file()), no_environment, {});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Settings defaults;
  for (const SettingInfo& info : all_settings())
    EXPECT_EQ(shown_value(*loaded, info), shown_value(defaults, info)) << info.key;
}

TEST(Settings, HaveAFlagAndAVariableEach) {
  const auto& info = *std::ranges::find(all_settings(), "sink.max_delay", &SettingInfo::key);
  EXPECT_EQ(info.flag(), "--sink-max-delay");
  EXPECT_EQ(info.variable(), "MILLRACE_SINK_MAX_DELAY");
}

TEST(Settings, PutCredentialsIntoUrlsEscaped) {
  Settings settings;
  settings.mysql_password = "a:b@c/d%";
  EXPECT_EQ(mysql_url(settings), "mysql://admin:a%3Ab%40c%2Fd%25@127.0.0.1:3306/ecommerce");
}

TEST(WarehouseSchema, IsSplitAtSemicolonsOutsideOfQuotesAndComments) {
  const auto statements =
      split_statements("-- a; comment\nSELECT ';' ;\n\n SELECT '\\';' -- x;y\n;;\n-- end");
  ASSERT_EQ(statements.size(), 2u);
  EXPECT_EQ(statements[0], "-- a; comment\nSELECT ';'");
  EXPECT_EQ(statements[1], "SELECT '\\';' -- x;y");
  EXPECT_TRUE(split_statements("").empty());
  EXPECT_TRUE(split_statements(" \n-- only\n").empty());
}

}  // namespace
}  // namespace millrace::app
