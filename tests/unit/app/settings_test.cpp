#include "app/settings.h"

#include <fstream>

#include <gtest/gtest.h>

#include "app/warehouse_schema.h"
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

TEST(Settings, NeverShowSecrets) {
  const auto bad = load_settings("", no_environment, {{"mysql.url", "mysql://root:hidden@h/db"}});
  ASSERT_TRUE(bad);
  for (const SettingInfo& info : all_settings())
    EXPECT_EQ(shown_value(*bad, info).find("hidden"), std::string::npos) << info.key;
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
  EXPECT_EQ(mysql_url(settings), "mysql://root:a%3Ab%40c%2Fd%25@127.0.0.1:3306/ecommerce");
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
