#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/mysql/connection.h"
#include "supervise/embedded_mariadb.h"
#include "supervise/log_file.h"
#include "supervise/process_info.h"
#include "supervise/supervisor.h"
#include "supervise/tcp_probe.h"
#include "support/free_port.h"
#include "support/temporary_directory.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using base::Deadline;
using base::ErrorKind;
using supervise::EmbeddedMariadb;
using supervise::EmbeddedMariadbOptions;
using supervise::Service;
using supervise::ServiceState;
using supervise::Supervisor;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A port that something listens on for as long as this lives.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { ::close(socket_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

/// True for a process that is gone or waits to be collected by its parent.
bool is_gone(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return true;
  return line.substr(line.rfind(')') + 2, 1) == "Z";
}

template <class Condition>
bool eventually(Condition condition, std::chrono::seconds limit = 30s) {
  const Deadline deadline = Deadline::in(limit);
  while (!condition()) {
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

class EmbeddedMariadbTest : public testing::Test {
 protected:
  [[nodiscard]] EmbeddedMariadbOptions options() const {
    return {.directory = directory_.path() / "mysql",
            .port = port_,
            .database = "my_shop",
            .password = "pass'word \\ 1",
            .root_password = "root's",
            .buffer_pool_bytes = std::uint64_t{64} << 20,
            .extra_arguments = {}};
  }
  [[nodiscard]] base::Result<std::unique_ptr<adapters::mysql::Connection>> connect(
      const std::string& user, const std::string& password) const {
    adapters::mysql::ServerAddress address;
    address.port = port_;
    address.user = user;
    address.password = password;
    return adapters::mysql::Connection::open(address, "", adapters::mysql::Isolation::kReadCommitted,
                                             Deadline::in(5s));
  }

  support::TemporaryDirectory directory_;
  std::uint16_t port_ = support::free_port();
};

TEST(CheckPortFree, WaitsForAListenerThatIsAboutToGo) {
  auto taken = std::make_unique<TakenPort>();
  const std::uint16_t port = taken->port();
  std::jthread going([&] {
    std::this_thread::sleep_for(300ms);
    taken.reset();
  });

  EXPECT_TRUE(supervise::check_port_free("127.0.0.1", port));
}

TEST_F(EmbeddedMariadbTest, ServesItsTwoUsersAndNobodyElse) {
  EmbeddedMariadb server(options());
  const auto started = server.start(Deadline::in(60s));
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(server.status().state, ServiceState::kReady);

  EXPECT_TRUE(connect("root", "root's"));
  const auto admin = connect("admin", "pass'word \\ 1");
  ASSERT_TRUE(admin) << admin.error().message;
  EXPECT_TRUE((*admin)->command("CREATE DATABASE my_shop", Deadline::in(5s)));
  EXPECT_FALSE((*admin)->command("CREATE DATABASE myXshop", Deadline::in(5s)));
  EXPECT_EQ(connect("root", "").error().kind, ErrorKind::kFatal);
  EXPECT_EQ(connect("", "").error().kind, ErrorKind::kFatal);
  EXPECT_EQ(connect("root", "other").error().kind, ErrorKind::kFatal);
  adapters::mysql::ServerAddress by_socket;
  by_socket.unix_socket = server.socket().string();
  by_socket.user = "root";
  by_socket.password = "root's";
  EXPECT_TRUE(adapters::mysql::Connection::open(by_socket, "", adapters::mysql::Isolation::kReadCommitted,
                                                Deadline::in(5s)));
  EXPECT_EQ(text_of(directory_.path() / "mysql" / "accounts.sql").find("pass'"), std::string::npos);
  EXPECT_EQ(text_of(directory_.path() / "mysql" / "accounts.sql").find("root's"), std::string::npos);
  // Nothing of it lies outside of its directory, wherever the program was started.
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / "mysql" / "mariadbd.pid"));

  const pid_t pid = server.status().pid;
  server.stop();
  EXPECT_TRUE(is_gone(pid));
  EXPECT_EQ(server.status().state, ServiceState::kStopped);
}

TEST_F(EmbeddedMariadbTest, ComesBackWithItsDataWhenItIsKilled) {
  EmbeddedMariadb server(options());
  ASSERT_TRUE(server.start(Deadline::in(60s)));
  ASSERT_TRUE((*connect("root", "root's"))->command("CREATE DATABASE shop", Deadline::in(5s)));
  const pid_t pid = server.status().pid;

  ASSERT_EQ(::kill(pid, SIGKILL), 0);

  ASSERT_TRUE(eventually(
      [&] { return server.status().state == ServiceState::kReady && server.status().pid != pid; }));
  EXPECT_EQ(server.status().restarts, 1u);
  EXPECT_NE(server.status().last_problem.find("signal 9"), std::string::npos) << server.status().last_problem;
  const auto connection = connect("root", "root's");
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_TRUE((*connection)->command("USE shop", Deadline::in(5s)));
}

TEST_F(EmbeddedMariadbTest, DiesWithItsParentAndLetsTheNextOneIn) {
  int channel[2];
  ASSERT_EQ(::pipe(channel), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    EmbeddedMariadb server(options());
    const bool started = server.start(Deadline::in(60s)).has_value();
    const pid_t pid = started ? server.status().pid : -1;
    if (::write(channel[1], &pid, sizeof(pid)) != sizeof(pid) || !started) ::_exit(1);
    while (true) ::pause();
  }
  pid_t pid = 0;
  ASSERT_EQ(::read(channel[0], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  ASSERT_GT(pid, 0);

  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  // At once, without waiting for the old server: its lock and its port are waited for.
  EmbeddedMariadb next(options());
  const auto started = next.start(Deadline::in(60s));

  EXPECT_TRUE(started) << started.error().message;
  EXPECT_TRUE(is_gone(pid));
  ::waitpid(parent, nullptr, 0);
  ::close(channel[0]);
  ::close(channel[1]);
}

TEST_F(EmbeddedMariadbTest, RefusesASecondInstanceInItsDirectory) {
  EmbeddedMariadb first(options());
  ASSERT_TRUE(first.start(Deadline::in(60s)));
  EmbeddedMariadbOptions elsewhere = options();
  elsewhere.port = support::free_port();
  EmbeddedMariadb second(elsewhere);

  const auto refused = second.start(Deadline::in(200ms));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_NE(refused.error().message.find(fmt::format("process {}", ::getpid())), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(first.status().state, ServiceState::kReady);
}

TEST_F(EmbeddedMariadbTest, LeavesAnotherServerOnItsPortAlone) {
  const TakenPort other;
  port_ = other.port();
  EmbeddedMariadb server(options());

  const auto refused = server.start(Deadline::in(10s));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(refused.error().message.find(fmt::format("port {} on 127.0.0.1", port_)), 0u)
      << refused.error().message;
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "mysql" / "data"));
}

TEST_F(EmbeddedMariadbTest, NeverUsesADataDirectoryThatWasNotFinished) {
  const std::filesystem::path unfinished = directory_.path() / "mysql" / "data.unfinished";
  std::filesystem::create_directories(unfinished / "mysql");
  std::ofstream(unfinished / "ibdata1") << "half";
  EmbeddedMariadb server(options());

  const auto started = server.start(Deadline::in(60s));

  ASSERT_TRUE(started) << started.error().message;
  EXPECT_FALSE(std::filesystem::exists(unfinished));
}

TEST_F(EmbeddedMariadbTest, TakesANewPasswordAtTheNextStart) {
  {
    EmbeddedMariadb server(options());
    const auto started = server.start(Deadline::in(60s));
    ASSERT_TRUE(started) << started.error().message;
  }
  EmbeddedMariadbOptions changed = options();
  changed.password = "changed";
  changed.root_password.clear();  // a random one: nobody knows it
  EmbeddedMariadb server(changed);
  ASSERT_TRUE(server.start(Deadline::in(60s)));
  EXPECT_TRUE(connect("admin", "changed"));
  EXPECT_EQ(connect("admin", "pass'word \\ 1").error().kind, ErrorKind::kFatal);
  for (const char* password : {"root's", "changed", ""})
    EXPECT_EQ(connect("root", password).error().kind, ErrorKind::kFatal);
}

TEST_F(EmbeddedMariadbTest, LetsNoStatementReachAFileOrGainRights) {
  EmbeddedMariadb server(options());
  ASSERT_TRUE(server.start(Deadline::in(60s)));
  const std::filesystem::path outside = directory_.path() / "outside";
  std::filesystem::create_directory(outside);
  std::filesystem::permissions(outside, std::filesystem::perms::all);
  std::ofstream(outside / "secret") << "42\n";
  const auto root = connect("root", "root's");
  ASSERT_TRUE(root) << root.error().message;
  ASSERT_TRUE((*root)->command("CREATE DATABASE my_shop", Deadline::in(5s)));
  const auto admin = connect("admin", "pass'word \\ 1");
  ASSERT_TRUE(admin) << admin.error().message;

  for (const auto* user : {&*root, &*admin}) {
    adapters::mysql::Connection& connection = **user;
    ASSERT_TRUE(connection.command("USE my_shop", Deadline::in(5s)));
    ASSERT_TRUE(connection.command("CREATE OR REPLACE TABLE t (a INT)", Deadline::in(5s)));
    const std::string file = outside.string() + "/made";
    for (const std::string& statement :
         {"SELECT 1 INTO OUTFILE '" + file + "'",
          "SELECT 1 INTO DUMPFILE '" + file + "'",
          "LOAD DATA INFILE '" + outside.string() + "/secret' INTO TABLE t",
          "LOAD DATA LOCAL INFILE '" + outside.string() + "/secret' INTO TABLE t",
          "SET GLOBAL general_log_file = '" + file + "'",
          "SET GLOBAL slow_query_log_file = '" + file + "'",
          std::string("SET GLOBAL general_log = 1"),
          std::string("SET GLOBAL secure_file_priv = ''"),
          std::string("SET GLOBAL init_connect = 'SELECT 1'"),
          std::string("INSTALL PLUGIN x SONAME 'x.so'"),
          std::string("INSTALL SONAME 'ha_connect'"),
          std::string("CREATE FUNCTION f RETURNS STRING SONAME 'x.so'"),
          std::string("GRANT FILE ON *.* TO CURRENT_USER"),
          std::string("GRANT ALL ON mysql.* TO CURRENT_USER"),
          std::string("UPDATE mysql.global_priv SET Priv = '{}'"),
          std::string("SELECT * FROM mysql.global_priv"),
          std::string("INSERT INTO mysql.plugin VALUES ('x', 'x.so')"),
          std::string("CREATE TABLE mysql.t (a INT)"),
          std::string("RENAME TABLE my_shop.t TO mysql.t"),
          std::string("CREATE USER x"),
          std::string("CHANGE MASTER TO MASTER_HOST = '127.0.0.1'"),
          std::string("SHUTDOWN")})
      EXPECT_FALSE(connection.command(statement, Deadline::in(5s))) << statement;
    // These succeed, and leave nothing outside.
    std::string read = "something";
    ASSERT_TRUE(connection.query(
        "SELECT COALESCE(LOAD_FILE('" + outside.string() + "/secret'), 'nothing')", {},
        [&](adapters::mysql::Row row) -> base::Result<void> {
          read = row[0].value_or("NULL");
          return {};
        },
        Deadline::in(5s)));
    EXPECT_EQ(read, "nothing");
    for (const char* engine : {"InnoDB", "MyISAM", "Aria"})
      static_cast<void>(connection.command(fmt::format("CREATE OR REPLACE TABLE elsewhere (a INT) ENGINE = "
                                                       "{} DATA DIRECTORY = '{}' INDEX DIRECTORY = '{}'",
                                                       engine, outside.string(), outside.string()),
                                           Deadline::in(5s)));
  }
  const std::filesystem::directory_iterator files(outside);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "only the file that was there";
}

TEST_F(EmbeddedMariadbTest, KeepsItsFilesForItsOwnUserWhateverTheUmask) {
  const mode_t before = ::umask(0);
  EmbeddedMariadb server(options());
  const auto started = server.start(Deadline::in(60s));
  ::umask(before);
  ASSERT_TRUE(started) << started.error().message;

  struct stat top{};
  ASSERT_EQ(::stat((directory_.path() / "mysql").c_str(), &top), 0);
  EXPECT_EQ(top.st_mode & 0777, 0700u);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_.path() / "mysql")) {
    if (!entry.path().native().ends_with("mysql.sock") && !entry.path().native().ends_with("accounts.sql") &&
        !entry.path().native().ends_with("ibdata1"))
      continue;
    struct stat one{};
    ASSERT_EQ(::lstat(entry.path().c_str(), &one), 0);
    EXPECT_EQ(one.st_mode & 077, 0u) << entry.path();
  }
}

class SupervisorTest : public testing::Test {
 protected:
  [[nodiscard]] Service shell(const std::string& script) const {
    Service service;
    service.child.name = "child";
    service.child.program = "/bin/sh";
    service.child.arguments = {"-c", script};
    service.child.log_file = directory_.path() / "log";
    service.probe = [this](Deadline) -> base::Result<void> {
      if (std::filesystem::exists(directory_.path() / "ready")) return {};
      return base::unavailable("not yet");
    };
    service.stop_timeout = 300ms;
    return service;
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return (directory_.path() / name).string();
  }

  support::TemporaryDirectory directory_;
};

TEST_F(SupervisorTest, QuotesTheLogOfAProgramThatDoesNotStart) {
  Supervisor supervisor(shell("echo starting; echo 'ERROR: no such table' >&2; exit 3"));

  const auto started = supervisor.start(Deadline::in(10s));

  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kFatal);
  EXPECT_EQ(started.error().message, "child did not start (exit code 3); its log says: ERROR: no such table");
}

TEST_F(SupervisorTest, GivesUpOnAProgramThatIsNeverReadyAndKillsIt) {
  Supervisor supervisor(shell("echo $$ > " + file("pid") + "; trap '' TERM; while :; do sleep 0.01; done"));

  const auto started = supervisor.start(Deadline::in(500ms));

  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(is_gone(std::stoi(text_of(file("pid")))));
}

TEST_F(SupervisorTest, SaysWhichProgramIsMissing) {
  Service service = shell("");
  service.child.program = directory_.path() / "nothing-here";
  Supervisor supervisor(service);

  const auto started = supervisor.start(Deadline::in(10s));

  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("nothing-here"), std::string::npos) << started.error().message;
}

TEST_F(SupervisorTest, StartsAProgramAgainEachTimeItEndsWithGrowingPauses) {
  Supervisor supervisor(shell("touch " + file("ready") + "; sleep 0.1; exit 1"));
  ASSERT_TRUE(supervisor.start(Deadline::in(10s)));

  EXPECT_TRUE(eventually([&] { return supervisor.status().restarts >= 3; }));
  supervisor.stop();
  EXPECT_EQ(supervisor.status().state, ServiceState::kStopped);
}

TEST_F(SupervisorTest, HandsDownNothingOfTheEnvironmentButWhatServersNeed) {
  ::setenv("MILLRACE_MYSQL_PASSWORD", "hidden", 1);
  ::setenv("SOMEBODYS_TOKEN", "hidden", 1);
  ::setenv("LC_TIME", "C.UTF-8", 1);
  Service service = shell("env > " + file("environment") + "; umask > " + file("umask") + "; touch " +
                          file("ready") + "; exec sleep 1000");
  service.child.environment = {{"GIVEN", "value"}};
  Supervisor supervisor(service);
  ASSERT_TRUE(supervisor.start(Deadline::in(10s)));
  ::unsetenv("MILLRACE_MYSQL_PASSWORD");
  ::unsetenv("SOMEBODYS_TOKEN");

  const std::string environment = text_of(file("environment"));
  EXPECT_EQ(environment.find("hidden"), std::string::npos) << environment;
  EXPECT_NE(environment.find("PATH="), std::string::npos);
  EXPECT_NE(environment.find("LC_TIME=C.UTF-8"), std::string::npos);
  EXPECT_NE(environment.find("GIVEN=value"), std::string::npos);
  EXPECT_EQ(text_of(file("umask")), "0077\n");
}

TEST_F(SupervisorTest, KeepsTheChildAwayFromOurSignalsAndFiles) {
  // Our own process blocks signals and holds files; the child must begin with neither.
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  int held[2];
  ASSERT_EQ(::pipe(held), 0);
  Supervisor supervisor(shell("ls /proc/$$/fd > " + file("fds") + "; ps -o pgid= -p $$ > " + file("group") +
                              "; touch " + file("ready") + "; exec sleep 1000"));
  ASSERT_TRUE(supervisor.start(Deadline::in(10s)));
  const pid_t pid = supervisor.status().pid;

  supervisor.stop();  // SIGTERM is enough: it would be killed only after stop_timeout
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

  EXPECT_EQ(text_of(file("fds")).find(std::to_string(held[0])), std::string::npos) << text_of(file("fds"));
  EXPECT_EQ(std::stoi(text_of(file("group"))), pid);
  ::close(held[0]);
  ::close(held[1]);
}

TEST_F(SupervisorTest, KillsAStoppingProgramAsSoonAsNothingIsLostByIt) {
  Service service = shell("trap 'touch " + file("done") + "' TERM; touch " + file("ready") +
                          "; while :; do sleep 0.01; done");
  service.stop_timeout = 60s;
  service.may_be_killed = [this] { return std::filesystem::exists(file("done")); };
  Supervisor supervisor(service);
  ASSERT_TRUE(supervisor.start(Deadline::in(10s)));
  const pid_t pid = supervisor.status().pid;
  const Deadline long_before_the_timeout = Deadline::in(30s);

  supervisor.stop();

  EXPECT_TRUE(std::filesystem::exists(file("done"))) << "it was asked first";
  EXPECT_FALSE(long_before_the_timeout.passed());
  EXPECT_TRUE(is_gone(pid));
}

TEST(ProcessInfo, TellsARunningProcessFromOneThatHasEnded) {
  const support::TemporaryDirectory directory;
  const auto file = directory.path() / "held";
  const int held = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto handle = supervise::ProcessHandle::open(child);
  ASSERT_TRUE(handle);
  EXPECT_GT(supervise::process_info(child).value_or(supervise::ProcessInfo{}).resident_bytes, 0U);
  EXPECT_TRUE(supervise::has_open(child, file));
  EXPECT_FALSE(supervise::has_open(child, directory.path() / "another"));
  EXPECT_FALSE(handle->wait(Deadline::in(0ms)));

  EXPECT_TRUE(handle->send(SIGKILL));

  EXPECT_TRUE(handle->wait(Deadline::in(10s)));
  EXPECT_FALSE(supervise::process_info(child)) << "one that waits to be collected does not run";
  EXPECT_FALSE(supervise::has_open(child, file));
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(handle->send(SIGKILL));
  ::close(held);
}

TEST_F(SupervisorTest, BoundsTheLogOfAChattyProgram) {
  Service service = shell("touch " + file("ready") + "; while :; do echo chatter chatter chatter; done");
  service.log_bytes_max = 10'000;
  Supervisor supervisor(service);
  ASSERT_TRUE(supervisor.start(Deadline::in(10s)));

  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(file("log.1")); }));
  supervisor.stop();
}

}  // namespace
}  // namespace millrace
