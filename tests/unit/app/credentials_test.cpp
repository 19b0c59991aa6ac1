#include "app/config/credentials.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "app/config/secret_files.h"
#include "support/temporary_directory.h"

namespace millrace::app {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class CredentialsTest : public testing::Test {
 protected:
  Settings settings() const {
    Settings settings;
    settings.data_dir = directory_.path();
    return settings;
  }
  /// What `up` uses, and the settings as it filled them in.
  CredentialsInForce set_up(Settings& settings, bool development = false) {
    auto force = set_up_credentials(settings, development);
    EXPECT_TRUE(force) << force.error().message;
    return force.value_or(CredentialsInForce{});
  }
  fs::path file() const { return directory_.path() / "credentials.toml"; }

  support::TemporaryDirectory directory_;
};

TEST(GeneratedPassword, IsLongSafeInAUrlAndAnotherEachTime) {
  for (int i = 0; i < 200; ++i) {
    const std::string password = generate_password();
    EXPECT_EQ(password.size(), 32U);
    EXPECT_EQ(password.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos);
    EXPECT_NE(password.front(), '-');
    EXPECT_NE(password, generate_password());
  }
}

TEST_F(CredentialsTest, AreMadeOnceAndUsedAgain) {
  Settings first = settings();
  const auto made = set_up(first);
  EXPECT_TRUE(made.made_now);
  EXPECT_EQ(first.mysql_password.size(), 32U);
  EXPECT_EQ(first.embedded_admin_password, first.mysql_password);
  EXPECT_EQ(first.embedded_root_password.size(), 32U);
  EXPECT_NE(first.embedded_root_password, first.mysql_password);
  EXPECT_NE(first.clickhouse_password, first.mysql_password);
  EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);

  Settings later = settings();
  EXPECT_FALSE(set_up(later).made_now);
  EXPECT_EQ(later.mysql_password, first.mysql_password);
  EXPECT_EQ(later.embedded_root_password, first.embedded_root_password);
  EXPECT_EQ(later.clickhouse_password, first.clickhouse_password);

  Settings tool = settings();
  ASSERT_TRUE(use_credentials(tool));
  EXPECT_EQ(tool.mysql_password, first.mysql_password);
  EXPECT_EQ(tool.clickhouse_password, first.clickhouse_password);
  Settings as_root = settings();
  as_root.mysql_user = "root";
  ASSERT_TRUE(use_credentials(as_root));
  EXPECT_EQ(as_root.mysql_password, first.embedded_root_password);
}

TEST_F(CredentialsTest, ChangeBetweenKnownAndGeneratedOnes) {
  Settings known = settings();
  EXPECT_FALSE(set_up(known, true).made_now);
  EXPECT_EQ(known.mysql_password, "test123");
  EXPECT_EQ(known.embedded_root_password, "test123");
  EXPECT_EQ(known.clickhouse_password, "test123");
  Settings tool = settings();
  ASSERT_TRUE(use_credentials(tool));
  EXPECT_EQ(tool.clickhouse_password, "test123");

  Settings generated = settings();
  EXPECT_TRUE(set_up(generated).made_now);
  EXPECT_EQ(text_of(file()).find("test123"), std::string::npos);
  Settings again = settings();
  set_up(again, true);
  EXPECT_EQ(again.mysql_password, "test123");
}

TEST_F(CredentialsTest, GiveWayToSettingsAndDoNotKeepThem) {
  Settings given = settings();
  given.mysql_password = "of-the-order-store";
  given.clickhouse_password = "of-the-warehouse";
  EXPECT_TRUE(set_up(given).made_now) << "root's";
  EXPECT_EQ(given.embedded_admin_password, "of-the-order-store");
  EXPECT_EQ(given.embedded_root_password.size(), 32U);
  EXPECT_EQ(given.clickhouse_password, "of-the-warehouse");
  EXPECT_EQ(text_of(file()).find("of-the-"), std::string::npos);

  Settings tool = settings();
  const auto refused = use_credentials(tool);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kNotFound);
  EXPECT_NE(refused.error().message.find("mysql.password and clickhouse.password"), std::string::npos);
  Settings told = settings();
  told.mysql_password = "a";
  told.clickhouse_password = "b";
  EXPECT_TRUE(use_credentials(told));

  Settings as_root = settings();
  as_root.mysql_user = "root";
  as_root.mysql_password = "of-root";
  set_up(as_root);
  EXPECT_EQ(as_root.embedded_root_password, "of-root");
  EXPECT_EQ(as_root.embedded_admin_password.size(), 32U);
}

TEST_F(CredentialsTest, AreNotNeededForAStoreThatACommandDoesNotUse) {
  Settings tool = settings();
  tool.mysql_password = "given";
  EXPECT_TRUE(use_credentials(tool, {.mysql = true, .clickhouse = false}));
  EXPECT_TRUE(use_credentials(tool, {.mysql = false, .clickhouse = false}));
  const auto refused = use_credentials(tool, {.mysql = true, .clickhouse = true});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("set clickhouse.password"), std::string::npos)
      << refused.error().message;
}

TEST_F(CredentialsTest, AreNotNeededForServersElsewhere) {
  Settings elsewhere = settings();
  elsewhere.mysql_embedded = elsewhere.clickhouse_embedded = false;
  EXPECT_TRUE(use_credentials(elsewhere));
  EXPECT_FALSE(set_up(elsewhere).made_now);
  EXPECT_FALSE(fs::exists(file()));
  Settings far = settings();
  far.mysql_host = "db7";
  far.clickhouse_host = "wh7";
  EXPECT_TRUE(use_credentials(far)) << "a stage on another machine: the file is of this one's servers";
}

TEST_F(CredentialsTest, ThatCannotBeReadAreRefusedWithWhatToDo) {
  Settings tool = settings();
  auto refused = use_credentials(tool);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, base::ErrorKind::kNotFound);
  for (const std::string& part : {file().string(), std::string("--data-dir"), std::string("mysql.password")})
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  EXPECT_EQ(refused.error().message.find('\n'), std::string::npos);

  for (const char* text : {"", "kind = \"other\"", "kind = \"generated\"\n[mysql]\npassword = 1",
                           "kind = \"generated\"\n[mysql]\npassword = \"hush"}) {
    ASSERT_TRUE(write_secret_file(file(), text));
    refused = use_credentials(tool);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, base::ErrorKind::kInvalid);
    EXPECT_EQ(refused.error().message.find("hush"), std::string::npos) << refused.error().message;
    Settings up = settings();
    EXPECT_FALSE(set_up_credentials(up, false)) << "what is damaged is for a person to remove";
  }
  ASSERT_TRUE(write_secret_file(file(), "kind = \"generated\""));
  fs::permissions(file(), fs::perms::others_read, fs::perm_options::add);
  refused = use_credentials(tool);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("chmod 600"), std::string::npos) << refused.error().message;
}

TEST(Credentials, AreReadAsTheyWereWritten) {
  Credentials credentials;
  credentials.mysql_password = "a\"b\\c\n\xc3\xa9";
  credentials.clickhouse_user = "an 'other'";
  credentials.clickhouse_password = "p";
  const auto read = parse_credentials(to_toml(credentials));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, credentials);
}

TEST(Credentials, AreInTheNoteByKindAlone) {
  Credentials credentials;
  credentials.mysql_password = "hush";
  EXPECT_EQ(credentials_note(credentials, "/d/credentials.toml"), "passwords: /d/credentials.toml");
  EXPECT_EQ(credentials_note({}, "/d/credentials.toml"), "passwords: as configured");
  credentials.development = true;
  EXPECT_NE(credentials_note(credentials, "/d/credentials.toml").find("--dev-credentials"),
            std::string::npos);
  const auto lines = shown_once(credentials, "/d/credentials.toml");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[1].find("hush"), std::string::npos);
}

TEST(SecretFile, ReplacesWhatWasThereAndFollowsNoLink) {
  const support::TemporaryDirectory directory;
  const fs::path file = directory.path() / "f";
  std::ofstream(directory.path() / "victim") << "untouched";
  fs::create_symlink(directory.path() / "victim", directory.path() / "f.partial");
  ASSERT_TRUE(write_secret_file(file, "one"));
  ASSERT_TRUE(write_secret_file(file, "two"));
  EXPECT_EQ(*read_secret_file(file, "x"), "two");
  EXPECT_EQ(text_of(directory.path() / "victim"), "untouched");
  EXPECT_FALSE(fs::exists(directory.path() / "f.partial"));
  EXPECT_EQ(write_secret_file(directory.path() / "no/such/f", "x").error().kind, base::ErrorKind::kInvalid);
}

}  // namespace
}  // namespace millrace::app
