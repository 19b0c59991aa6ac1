#include "support/mariadb_fixture.h"

#include <atomic>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/migrations.h"
#include "support/temporary_directory.h"

namespace millrace::support {
namespace {

using namespace std::chrono_literals;

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(socket);
  if (!bound) throw std::runtime_error("no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ::dup2(file, 1);
  ::dup2(file, 2);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T or_throw(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

class MariadbServer::Impl {
 public:
  Impl() : port(free_port()) {
    const std::string user = ::geteuid() == 0 ? "root" : "";
    std::vector<std::string> install = {"mariadb-install-db", "--no-defaults", "--datadir=" + data(),
                                        "--skip-test-db", "--auth-root-authentication-method=normal"};
    if (!user.empty()) install.push_back("--user=" + user);
    int status = 0;
    const pid_t installer = spawn(install, log());
    ::waitpid(installer, &status, 0);
    if (status != 0)
      throw std::runtime_error("mariadb-install-db failed (package mariadb-server-core): " + text_of(log()));
    start();
    const auto root = or_throw(adapters::mysql::Connection::open(
        by_socket(), "", adapters::mysql::Isolation::kReadCommitted, base::Deadline::in(5s)));
    or_throw(root->command("ALTER USER 'root'@'localhost' IDENTIFIED BY 'test123'", base::Deadline::in(5s)));
    or_throw(root->command("CREATE OR REPLACE USER 'root'@'127.0.0.1' IDENTIFIED BY 'test123'",
                           base::Deadline::in(5s)));
    or_throw(
        root->command("GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION", base::Deadline::in(5s)));
    password = "test123";
  }
  ~Impl() { kill(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start() {
    std::vector<std::string> server = {"/usr/sbin/mariadbd",
                                       "--no-defaults",
                                       "--datadir=" + data(),
                                       "--socket=" + socket(),
                                       "--pid-file=" + data() + "/pid",
                                       fmt::format("--port={}", port),
                                       "--bind-address=127.0.0.1",
                                       "--skip-log-bin",
                                       "--innodb-buffer-pool-size=64M",
                                       "--innodb-log-file-size=48M",
                                       "--innodb-flush-method=nosync",
                                       "--innodb-doublewrite=0",
                                       "--sync-frm=0",
                                       "--max-allowed-packet=64M",
                                       "--character-set-server=utf8mb4",
                                       "--skip-name-resolve"};
    if (::geteuid() == 0) server.push_back("--user=root");
    pid = spawn(server, log());
    const base::Deadline deadline = base::Deadline::in(30s);
    while (!deadline.passed()) {
      if (adapters::mysql::Connection::open(by_socket(), "", adapters::mysql::Isolation::kReadCommitted,
                                            base::Deadline::in(2s)))
        return;
      if (::waitpid(pid, nullptr, WNOHANG) == pid) break;
      std::this_thread::sleep_for(20ms);
    }
    throw std::runtime_error("mariadbd did not start: " + text_of(log()));
  }

  void kill() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }

  adapters::mysql::ServerAddress by_socket() const {
    adapters::mysql::ServerAddress address;
    address.unix_socket = socket();
    address.user = "root";
    address.password = password;
    return address;
  }
  std::string data() const { return (directory.path() / "data").string(); }
  std::string socket() const { return (directory.path() / "s.sock").string(); }
  std::string log() const { return (directory.path() / "log").string(); }

  TemporaryDirectory directory;
  std::uint16_t port;
  std::string password;
  pid_t pid = 0;
};

MariadbServer::MariadbServer() : impl_(new Impl) {}
MariadbServer::~MariadbServer() {
  delete impl_;
}

MariadbServer& MariadbServer::get() {
  static MariadbServer server;
  return server;
}

adapters::mysql::ServerAddress MariadbServer::address(const std::string& database) const {
  adapters::mysql::ServerAddress address;
  address.host = "127.0.0.1";
  address.port = impl_->port;
  address.user = "root";
  address.password = impl_->password;
  address.database = database;
  return address;
}
std::string MariadbServer::url(const std::string& database) const {
  return fmt::format("mysql://root:{}@127.0.0.1:{}/{}", impl_->password, impl_->port, database);
}
void MariadbServer::kill() {
  impl_->kill();
}
void MariadbServer::start() {
  impl_->start();
}

TestDatabase::TestDatabase(bool sample_shop) {
  static std::atomic<int> made = 0;
  address_ = MariadbServer::get().address(fmt::format("test_{}", ++made));
  or_throw(adapters::mysql::init_db(address_, {.sample_shop = sample_shop}, base::Deadline::in(30s)));
}

TestDatabase::~TestDatabase() {
  try {
    run(fmt::format("DROP DATABASE `{}`", address_.database));
  } catch (const std::exception&) {
    // The server may be down at the end of a test; its data goes with the program anyway.
  }
}

std::string TestDatabase::value(const std::string& select) const {
  const auto connection = or_throw(adapters::mysql::Connection::open(
      address_, address_.database, adapters::mysql::Isolation::kReadCommitted, base::Deadline::in(10s)));
  std::optional<std::string> first;
  or_throw(connection->query(
      select, {},
      [&](adapters::mysql::Row row) -> base::Result<void> {
        if (!first) first = row[0] ? std::string(*row[0]) : "NULL";
        return {};
      },
      base::Deadline::in(30s)));
  return first.value_or("");
}

void TestDatabase::run(const std::string& statement) const {
  const auto connection = or_throw(adapters::mysql::Connection::open(
      address_, address_.database, adapters::mysql::Isolation::kReadCommitted, base::Deadline::in(10s)));
  or_throw(connection->command(statement, base::Deadline::in(30s)));
}

}  // namespace millrace::support
