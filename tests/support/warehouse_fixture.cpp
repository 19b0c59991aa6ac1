#include "support/warehouse_fixture.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/free_port.h"
#include "support/raw_http.h"
#include "support/temporary_directory.h"

namespace millrace::support {
namespace {

using namespace std::chrono_literals;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

class WarehouseServer::Impl {
 public:
  Impl() { start(); }
  ~Impl() { kill(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start() {
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int file = ::open(log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      ::dup2(file, 1);
      ::dup2(file, 2);
      ::setenv("MILLRACE_WAREHOUSE_PASSWORD", "test123", 1);
      ::execl(MILLRACE_WAREHOUSE_PROGRAM, MILLRACE_WAREHOUSE_PROGRAM, "--path", data().c_str(), "--port",
              std::to_string(port).c_str(), "--user", "admin", nullptr);
      ::_exit(127);
    }
    const auto deadline = base::Deadline::in(30s);
    while (!deadline.passed()) {
      if (ask(port, "GET", "/ping").status == 200) return;
      if (::waitpid(pid, nullptr, WNOHANG) == pid) {
        pid = 0;
        break;
      }
      std::this_thread::sleep_for(20ms);
    }
    throw std::runtime_error("millrace-warehouse did not start: " + text_of(log()));
  }
  void kill() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }

  [[nodiscard]] std::string data() const { return (directory.path() / "data").string(); }
  [[nodiscard]] std::string log() const { return (directory.path() / "log").string(); }

  TemporaryDirectory directory;
  const std::uint16_t port = free_port();
  pid_t pid = 0;
};

WarehouseServer::WarehouseServer() : impl_(std::make_unique<Impl>()) {}
WarehouseServer::~WarehouseServer() = default;

void WarehouseServer::kill_and_restart() {
  impl_->kill();
  impl_->start();
}

std::string WarehouseServer::url() const {
  return fmt::format("http://127.0.0.1:{}", impl_->port);
}

void WarehouseServer::create_schema(ports::Warehouse& warehouse) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(MILLRACE_WAREHOUSE_SCHEMA))
    if (entry.path().extension() == ".sql") files.push_back(entry.path());
  std::ranges::sort(files);
  if (files.empty()) throw std::runtime_error("no schema in " MILLRACE_WAREHOUSE_SCHEMA);
  for (const auto& file : files) {
    std::string statement;
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("--")) continue;
      statement += line + "\n";
      if (!line.ends_with(";")) continue;
      statement.resize(statement.size() - 2);
      const auto done = warehouse.execute(statement, {}, base::Deadline::in(30s));
      if (!done) throw std::runtime_error(statement + "\n" + done.error().message);
      statement.clear();
    }
  }
}

}  // namespace millrace::support
