#include "support/mariadb_fixture.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/migrations.h"
#include "supervise/embedded_mariadb.h"
#include "support/free_port.h"

namespace millrace::support {
namespace {

using namespace std::chrono_literals;

constexpr const char* kPassword = "test123";

/// In memory where there is room: hundreds of small files are synced while a schema is made. The server is
/// killed in tests, the machine is not, so nothing here rests on the disk.
std::filesystem::path roomy_parent() {
  const std::filesystem::path memory = "/dev/shm";
  std::error_code error;
  const auto space = std::filesystem::space(memory, error);
  if (!error && space.available > std::uintmax_t{2} << 30 && ::access(memory.c_str(), W_OK) == 0)
    return memory;
  return std::filesystem::temp_directory_path();
}

constexpr std::string_view kPrefix = "millrace-mariadb-test-";

/// The file whose lock a test program holds as long as it lives, also while its server is killed.
constexpr std::string_view kOwnerFile = "owner";

/// Makes the file in `directory`, locked from the moment it has its name; the open file, to be kept.
int hold_owner_lock(const std::filesystem::path& directory) {
  const std::filesystem::path unnamed = directory / "owner.new";
  const int file = ::open(unnamed.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ::flock(file, LOCK_EX | LOCK_NB) != 0)
    throw std::runtime_error("cannot lock " + unnamed.string());
  std::filesystem::rename(unnamed, directory / kOwnerFile);
  return file;
}

/// Removes what programs that were killed have left behind: folders whose owner's lock nobody holds.
void remove_leftovers(const std::filesystem::path& parent) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const int lock = ::open((entry.path() / kOwnerFile).c_str(), O_RDWR | O_CLOEXEC);
    if (lock < 0) continue;  // just being made
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) std::filesystem::remove_all(entry.path(), error);
    ::close(lock);
  }
}

template <class T>
T or_throw(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

class MariadbServer::Impl {
 public:
  Impl() {
    const std::filesystem::path parent = roomy_parent();
    remove_leftovers(parent);
    std::string name = (parent / (std::string(kPrefix) + "XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a directory like " + name);
    directory = name;
    owner_lock = hold_owner_lock(directory);
    server = std::make_unique<supervise::EmbeddedMariadb>(supervise::EmbeddedMariadbOptions{
        .directory = directory,
        .port = port,
        .database = "ecommerce",
        .password = kPassword,
        .root_password = kPassword,
        .buffer_pool_bytes = std::uint64_t{64} << 20,
        .extra_arguments = {"--innodb-flush-method=nosync", "--innodb-doublewrite=0", "--sync-frm=0"}});
    start();
  }
  ~Impl() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    ::close(owner_lock);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start() { or_throw(server->start(base::Deadline::in(60s))); }

  void kill() {
    if (const pid_t pid = server->status().pid; pid > 0) ::kill(pid, SIGKILL);
    server->stop();
  }

  std::filesystem::path directory;
  int owner_lock = -1;
  std::uint16_t port = free_port();
  std::unique_ptr<supervise::EmbeddedMariadb> server;
};

MariadbServer::MariadbServer() : impl_(new Impl) {}
MariadbServer::~MariadbServer() {
  delete impl_;
}

MariadbServer& MariadbServer::get() {
  // The logger is made first and so goes last: the supervisor's thread logs until the server is gone.
  spdlog::default_logger();
  static MariadbServer server;
  return server;
}

adapters::mysql::ServerAddress MariadbServer::address(const std::string& database) const {
  adapters::mysql::ServerAddress address;
  address.host = "127.0.0.1";
  address.port = impl_->port;
  address.user = "root";
  address.password = kPassword;
  address.database = database;
  return address;
}
std::string MariadbServer::url(const std::string& database) const {
  return fmt::format("mysql://root:{}@127.0.0.1:{}/{}", kPassword, impl_->port, database);
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
