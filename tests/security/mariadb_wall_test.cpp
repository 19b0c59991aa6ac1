// The private mariadbd under the hands of a user with every right: nothing outside of its directory is read
// or written.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/mysql/connection.h"
#include "confinement/landlock.h"
#include "supervise/embedded_mariadb.h"
#include "support/free_port.h"
#include "support/temporary_directory.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using adapters::mysql::Connection;
using base::Deadline;
namespace fs = std::filesystem;

constexpr const char* kMarker = "mariadb-wall-marker-5b1f";

/// A server whose user `attacker` has every right, and a folder beside it that everybody may write.
class Attacked {
 public:
  explicit Attacked(bool unconfined) {
    fs::create_directories(outside());
    fs::permissions(outside(), fs::perms::all);
    std::ofstream(outside() / "marker") << kMarker << "\n";
    fs::create_directories(home());
    const fs::path accounts = home() / "attacker.sql";
    std::ofstream(accounts) << "CREATE USER IF NOT EXISTS attacker@127.0.0.1 IDENTIFIED BY 'attack';\n"
                               "GRANT ALL PRIVILEGES ON *.* TO attacker@127.0.0.1 WITH GRANT OPTION;\n";
    supervise::EmbeddedMariadbOptions options;
    options.directory = home();
    options.port = port_;
    options.password = "test123";
    options.unconfined = unconfined;
    // The server's own protections are taken away: what remains is the kernel's.
    options.extra_arguments = {"--secure-file-priv=", "--init-file=" + accounts.string(), "--local-infile=1",
                               "--symbolic-links=1"};
    server_ = std::make_unique<supervise::EmbeddedMariadb>(options);
    const auto started = server_->start(Deadline::in(60s));
    EXPECT_TRUE(started) << started.error().message;
    adapters::mysql::ServerAddress address;
    address.host = "127.0.0.1";
    address.port = port_;
    address.user = "attacker";
    address.password = "attack";
    auto opened =
        Connection::open(address, "", adapters::mysql::Isolation::kReadCommitted, Deadline::in(20s));
    EXPECT_TRUE(opened) << opened.error().message;
    if (opened) connection_ = std::move(*opened);
    EXPECT_TRUE(run("CREATE DATABASE IF NOT EXISTS w"));
  }

  bool run(const std::string& sql) { return connection_->command(sql, Deadline::in(20s)).has_value(); }
  std::string ask(const std::string& sql) {
    std::string text;
    const auto done = connection_->query(
        sql, {},
        [&](adapters::mysql::Row row) -> base::Result<void> {
          for (const auto& field : row)
            if (field) text += std::string(*field);
          return {};
        },
        Deadline::in(20s));
    return done ? text : "error: " + done.error().message;
  }
  [[nodiscard]] fs::path home() const { return directory_.path() / "mysql"; }
  [[nodiscard]] fs::path outside() const { return directory_.path() / "outside"; }
  [[nodiscard]] bool exists(const char* name) const { return fs::exists(outside() / name); }

 private:
  support::TemporaryDirectory directory_;
  std::uint16_t port_ = support::free_port();
  std::unique_ptr<supervise::EmbeddedMariadb> server_;
  std::unique_ptr<Connection> connection_;
};

struct Seen {
  bool loaded = false;       // LOAD_FILE
  bool loaded_rows = false;  // LOAD DATA INFILE
  bool written = false;      // INTO OUTFILE
  bool dumped = false;       // INTO DUMPFILE
  bool logged = false;       // general_log_file
  bool table = false;        // DATA DIRECTORY
  bool slow_log = false;
};

Seen attack(Attacked& server) {
  const std::string outside = server.outside().string();
  Seen seen;
  seen.loaded =
      server.ask(fmt::format("SELECT LOAD_FILE('{}/marker')", outside)).find(kMarker) != std::string::npos;
  server.run("CREATE TABLE w.rows_of_file (s TEXT)");
  server.run(fmt::format("LOAD DATA INFILE '{}/marker' INTO TABLE w.rows_of_file", outside));
  seen.loaded_rows = server.ask("SELECT s FROM w.rows_of_file").find(kMarker) != std::string::npos;
  server.run(fmt::format("SELECT 'x' INTO OUTFILE '{}/outfile'", outside));
  seen.written = server.exists("outfile");
  server.run(fmt::format("SELECT 'x' INTO DUMPFILE '{}/dumpfile'", outside));
  seen.dumped = server.exists("dumpfile");
  server.run(fmt::format("SET GLOBAL general_log_file = '{}/general'", outside));
  server.run("SET GLOBAL general_log = 1");
  server.run("SELECT 'a line of SQL'");
  server.run("SET GLOBAL general_log = 0");
  seen.logged = server.exists("general");
  server.run(fmt::format("SET GLOBAL slow_query_log_file = '{}/slow'", outside));
  server.run("SET GLOBAL slow_query_log = 1");
  seen.slow_log = server.exists("slow");
  fs::create_directories(server.outside() / "tables");
  fs::permissions(server.outside() / "tables", fs::perms::all);
  server.run(
      fmt::format("CREATE TABLE w.elsewhere (a INT) ENGINE = Aria DATA DIRECTORY = '{}/tables'", outside));
  server.run(
      fmt::format("CREATE TABLE w.inno (a INT) ENGINE = InnoDB DATA DIRECTORY = '{}/tables'", outside));
  seen.table = !fs::is_empty(server.outside() / "tables");
  return seen;
}

// The other test's proof: unconfined, each of them happens.
TEST(MariadbWall, SeesEachAttackSucceedWithoutConfinement) {
  Attacked server(true);
  const Seen seen = attack(server);
  EXPECT_TRUE(seen.loaded);
  EXPECT_TRUE(seen.loaded_rows);
  EXPECT_TRUE(seen.written);
  EXPECT_TRUE(seen.dumped);
  EXPECT_TRUE(seen.logged);
  EXPECT_TRUE(seen.slow_log);
  EXPECT_TRUE(seen.table);
}

TEST(MariadbWall, LetsNoneOfThemOutOfTheServersDirectory) {
  if (confinement::landlock_version() == 0) GTEST_SKIP() << "this kernel has no Landlock that can be used";
  Attacked server(false);
  const Seen seen = attack(server);
  EXPECT_FALSE(seen.loaded);
  EXPECT_FALSE(seen.loaded_rows);
  EXPECT_FALSE(seen.written);
  EXPECT_FALSE(seen.dumped);
  EXPECT_FALSE(seen.logged);
  EXPECT_FALSE(seen.slow_log);
  EXPECT_FALSE(seen.table);
  std::ifstream marker(server.outside() / "marker");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(marker), {}), std::string(kMarker) + "\n");

  // Ordinary work, with what it needs of its own directory and of the packages.
  EXPECT_TRUE(server.run("CREATE TABLE w.t (a INT PRIMARY KEY, s VARCHAR(40)) ENGINE = InnoDB"));
  EXPECT_TRUE(server.run("INSERT INTO w.t VALUES (1, 'ä'), (2, 'b')"));
  EXPECT_TRUE(
      server.run("ALTER TABLE w.t ADD COLUMN c DATETIME DEFAULT NOW(), ADD INDEX (s), ALGORITHM = COPY"));
  EXPECT_TRUE(server.run("CREATE TABLE w.many AS SELECT seq, REPEAT('x', 200) AS r FROM w.seq_1_to_20000"));
  EXPECT_TRUE(server.run("RENAME TABLE w.t TO w.u"));
  EXPECT_EQ(server.ask("SELECT GROUP_CONCAT(s ORDER BY a) FROM w.u"), "ä,b");
  EXPECT_EQ(server.ask("SELECT COUNT(*) FROM (SELECT r, seq FROM w.many ORDER BY r, seq LIMIT 15000) AS x"),
            "15000");
}

}  // namespace
}  // namespace millrace
