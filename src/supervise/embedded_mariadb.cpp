#include "supervise/embedded_mariadb.h"

#include <array>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic_file.h"
#include "base/hex.h"
#include "base/text.h"
#include "confinement/landlock.h"
#include "supervise/log_file.h"
#include "supervise/mariadb_rules.h"
#include "supervise/program.h"
#include "supervise/server_directory.h"
#include "supervise/tcp_probe.h"

namespace millrace::supervise {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPackage = "mariadb-server-core";
constexpr std::string_view kHost = "127.0.0.1";
constexpr std::string_view kServerNames[] = {"mariadbd", "mysqld"};
constexpr std::string_view kInstallNames[] = {"mariadb-install-db", "mysql_install_db"};

/// MariaDB sets its umask to 0 and gives its files these modes instead. Source: MariaDB, my_init().
const std::vector<std::pair<std::string, std::string>> kFileModes = {{"UMASK", "0600"},
                                                                     {"UMASK_DIR", "0700"}};

using Sha1 = std::array<unsigned char, 20>;

Sha1 sha1(const void* data, std::size_t size) {
  Sha1 digest{};
  const bool hashed = EVP_Digest(data, size, digest.data(), nullptr, EVP_sha1(), nullptr) == 1;
  MILLRACE_ASSERT(hashed);
  return digest;
}

/// What mysql_native_password stores: '*' and SHA1(SHA1(password)) in hexadecimal. Source: MariaDB
/// documentation, PASSWORD().
std::string stored_password(const std::string& password) {
  const Sha1 once = sha1(password.data(), password.size());
  return "*" + base::to_upper(base::to_hex(sha1(once.data(), once.size())));
}

/// As a pattern that the name alone fits, in the way of GRANT ... ON `pattern`.*
std::string grant_pattern(std::string_view database) {
  std::string pattern;
  for (const char c : database) {
    if (c == '_' || c == '%' || c == '\\') pattern += '\\';
    pattern += c;
    if (c == '`') pattern += c;
  }
  return pattern;
}

/// Who may log in and do what, as statements that the server runs before it takes connections. Holds no clear
/// password.
std::string accounts_script(const EmbeddedMariadbOptions& options, const std::string& root_password) {
  std::string text =
      "DELETE FROM mysql.global_priv WHERE User = '' OR (User IN ('root', 'admin') AND Host NOT IN "
      "('localhost', '127.0.0.1'));\n"
      "DELETE FROM mysql.proxies_priv;\n"
      "FLUSH PRIVILEGES;\n";
  for (const std::string_view host : {"localhost", "127.0.0.1"}) {
    const auto account = [&](std::string_view user, const std::string& password) {
      text += fmt::format(
          "CREATE USER IF NOT EXISTS '{0}'@'{1}';\n"
          "ALTER USER '{0}'@'{1}' IDENTIFIED BY PASSWORD '{2}';\n"
          "REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{0}'@'{1}';\n",
          user, host, stored_password(password));
    };
    account("admin", options.password);
    text += fmt::format("GRANT ALL PRIVILEGES ON `{}`.* TO 'admin'@'{}';\n", grant_pattern(options.database),
                        host);
    account("root", root_password);
    // The server takes the rights of the most exact pattern alone, so those on the system's databases stand
    // before those on all: who could write there would grant himself FILE, or register a plugin.
    text += fmt::format(
        "GRANT PROCESS, SHOW DATABASES ON *.* TO 'root'@'{0}';\n"
        "GRANT ALL PRIVILEGES ON `%`.* TO 'root'@'{0}';\n"
        "GRANT SHOW VIEW ON `mysql`.* TO 'root'@'{0}';\n"
        "GRANT SELECT, EXECUTE, SHOW VIEW ON `sys`.* TO 'root'@'{0}';\n",
        host);
  }
  return text;
}

/// 192 random bits as text.
base::Result<std::string> random_password() {
  std::array<unsigned char, 24> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    return base::fatal("the system gives no random numbers");
  return base::to_hex(bytes);
}

}  // namespace

class EmbeddedMariadb::Impl {
 public:
  explicit Impl(EmbeddedMariadbOptions given) : options_(std::move(given)) {
    std::error_code ignored;
    options_.directory = fs::absolute(options_.directory, ignored).lexically_normal();
  }

  base::Result<void> start(base::Deadline deadline) {
    MILLRACE_ASSERT(supervisor_ == nullptr);
    MILLRACE_TRY_ASSIGN(const fs::path server, find_program(kServerNames, kPackage));
    MILLRACE_TRY_ASSIGN(lock_, take_server_directory(options_.directory, deadline));
    base::Result<void> started = check_port();
    if (started) started = make_temporary();
    if (started) started = make_data(deadline);
    if (started) started = write_accounts();
    if (started) started = prepare_confinement(server);
    if (started) {
      supervisor_ = std::make_unique<Supervisor>(service(server));
      started = supervisor_->start(deadline);
    }
    if (!started) stop();
    return started;
  }

  void stop() {
    supervisor_.reset();
    lock_.reset();
  }

  [[nodiscard]] ServiceStatus status() const {
    if (supervisor_ != nullptr) return supervisor_->status();
    ServiceStatus status;
    status.name = "mariadbd";
    return status;
  }

  [[nodiscard]] fs::path socket() const { return options_.directory / "mysql.sock"; }
  [[nodiscard]] fs::path log_file() const { return options_.directory / "mariadbd.log"; }

 private:
  [[nodiscard]] fs::path data() const { return options_.directory / "data"; }
  [[nodiscard]] fs::path accounts_file() const { return options_.directory / "accounts.sql"; }
  [[nodiscard]] fs::path temporary() const { return options_.directory / "tmp"; }
  [[nodiscard]] fs::path plugins() const { return options_.directory / "no-plugins"; }

  /// A server that starts removes all files named #sql… from its temporary directory: in one that is shared,
  /// those of every other server of the machine. Source: MariaDB, mysql_rm_tmp_tables().
  base::Result<void> make_temporary() const {
    std::error_code error;
    for (const fs::path& directory : {temporary(), plugins()}) {
      fs::create_directories(directory, error);
      if (error) return base::fatal(fmt::format("cannot make {}: {}", directory.string(), error.message()));
    }
    // The server reads it; nobody, the server included, puts anything there.
    fs::permissions(plugins(), fs::perms::owner_read | fs::perms::owner_exec, error);
    return {};
  }

  base::Result<void> prepare_confinement(const fs::path& server) {
    ruleset_.reset();
    if (options_.unconfined) {
      spdlog::warn("mariadbd is not confined: whoever may use it as root reaches the files of this user");
      return {};
    }
    MILLRACE_TRY_ASSIGN(
        std::optional<confinement::Ruleset> ruleset,
        confinement::Ruleset::prepare(mariadb_rules(server, options_.directory, options_.port)));
    if (ruleset) {
      ruleset_.emplace(std::move(*ruleset));
    } else {
      spdlog::warn("the kernel has no Landlock that can be used: mariadbd is not held to its own directory");
    }
    return {};
  }

  base::Result<void> write_accounts() const {
    std::string root_password = options_.root_password;
    if (root_password.empty()) {
      MILLRACE_TRY_ASSIGN(root_password, random_password());
    }
    return base::replace_file(accounts_file(), accounts_script(options_, root_password));
  }

  base::Result<void> check_port() const {
    if (auto free = check_port_free(std::string(kHost), options_.port); !free)
      return base::fail(free.error().kind,
                        fmt::format("{}; another MySQL server may be running there, which is left alone: "
                                    "stop it, or choose another "
                                    "port for the private server",
                                    free.error().message),
                        free.error().vendor_code);
    return {};
  }

  /// The data directory appears under its name only when it is complete: a process killed in the middle
  /// leaves a folder that the next one removes.
  base::Result<void> make_data(base::Deadline deadline) const {
    std::error_code error;
    if (fs::exists(data() / "mysql", error)) return {};
    if (fs::exists(data(), error))
      return base::fatal(fmt::format(
          "{} is there but holds no MariaDB data: remove it, or use another directory", data().string()));
    MILLRACE_TRY_ASSIGN(const fs::path install, find_program(kInstallNames, kPackage));
    const fs::path unfinished = options_.directory / "data.unfinished";
    fs::remove_all(unfinished, error);

    ChildSpec spec;
    spec.name = "mariadb-install-db";
    spec.program = install;
    spec.arguments = {"--no-defaults",
                      "--datadir=" + unfinished.string(),
                      "--skip-test-db",
                      "--skip-name-resolve",
                      "--auth-root-authentication-method=normal",
                      "--tmpdir=" + temporary().string()};
    if (::geteuid() == 0) spec.arguments.emplace_back("--user=root");
    spec.log_file = options_.directory / "install-db.log";
    spec.environment = kFileModes;
    spec.kept_files = {lock_->file()};
    MILLRACE_TRY_ASSIGN(ChildProcess installer, ChildProcess::start(spec));
    const auto ended = installer.wait(deadline);
    if (!ended) return base::unavailable(fmt::format("{} took longer than allowed", spec.name));
    if (*ended != 0)
      return base::fatal(fmt::format("{} failed ({}); its log says: {}", spec.name, describe_exit(*ended),
                                     log_tail(spec.log_file)));
    ::syncfs(lock_->file());
    fs::rename(unfinished, data(), error);
    if (error) return base::fatal(fmt::format("cannot rename {}: {}", unfinished.string(), error.message()));
    return base::sync_directory(options_.directory);
  }

  [[nodiscard]] Service service(const fs::path& server) const {
    Service service;
    service.child.name = "mariadbd";
    service.child.program = server;
    service.child.log_file = log_file();
    service.child.environment = kFileModes;
    service.child.kept_files = {lock_->file()};
    if (ruleset_) service.child.ruleset_file = ruleset_->file();
    service.child.arguments = {
        "--no-defaults",
        "--datadir=" + data().string(),
        // Relative to the data directory: the path of a socket may have 107 bytes only.
        "--socket=../mysql.sock",
        "--pid-file=" + (options_.directory / "mariadbd.pid").string(),
        "--tmpdir=" + temporary().string(),
        "--init-file=" + accounts_file().string(),
        fmt::format("--port={}", options_.port),
        fmt::format("--bind-address={}", kHost),
        "--skip-name-resolve",
        "--skip-log-bin",
        // A path that no file lies below: MariaDB 10.11 does not know MySQL's NULL.
        "--secure-file-priv=/dev/null",
        "--local-infile=0",
        "--symbolic-links=0",
        "--plugin-dir=" + plugins().string(),
        "--log-warnings=1",  // 2 would note every probe
        "--performance-schema=OFF",
        "--default-time-zone=+00:00",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_unicode_ci",
        "--max-allowed-packet=64M",
        "--max-connections=200",
        fmt::format("--innodb-buffer-pool-size={}", options_.buffer_pool_bytes),
        "--innodb-log-file-size=96M",
        "--innodb-flush-log-at-trx-commit=1",
    };
    if (::geteuid() == 0) service.child.arguments.emplace_back("--user=root");
    service.child.arguments.insert(service.child.arguments.end(), options_.extra_arguments.begin(),
                                   options_.extra_arguments.end());
    service.ready_timeout = std::chrono::minutes(5);  // after a crash it replays its log first
    service.before_start = [this] { return check_port(); };
    // The server greets first: a packet with a header of four bytes and the protocol version, 10.
    // Source: MySQL internals, Protocol::Handshake.
    service.probe = [port = options_.port, path = socket()](base::Deadline deadline) -> base::Result<void> {
      MILLRACE_TRY_ASSIGN(const std::string greeting, first_answer(std::string(kHost), port, "", deadline));
      if (greeting.size() <= 4 || greeting[4] != '\x0a')
        return base::unavailable("the server refuses connections");
      // The server makes it for everybody.
      std::error_code error;
      fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write, error);
      return {};
    };
    return service;
  }

  EmbeddedMariadbOptions options_;
  std::optional<base::DirectoryLock> lock_;
  std::optional<confinement::Ruleset> ruleset_;  // for as long as the supervisor starts servers
  std::unique_ptr<Supervisor> supervisor_;
};

EmbeddedMariadb::EmbeddedMariadb(EmbeddedMariadbOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
EmbeddedMariadb::~EmbeddedMariadb() {
  stop();
}
base::Result<void> EmbeddedMariadb::start(base::Deadline deadline) {
  return impl_->start(deadline);
}
void EmbeddedMariadb::stop() {
  impl_->stop();
}
ServiceStatus EmbeddedMariadb::status() const {
  return impl_->status();
}
std::filesystem::path EmbeddedMariadb::socket() const {
  return impl_->socket();
}
std::filesystem::path EmbeddedMariadb::log_file() const {
  return impl_->log_file();
}

}  // namespace millrace::supervise
