#include "supervise/embedded_warehouse.h"

#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/url.h"
#include "supervise/program.h"
#include "supervise/secret_file.h"
#include "supervise/server_directory.h"
#include "supervise/tcp_probe.h"

namespace millrace::supervise {

namespace fs = std::filesystem;

class EmbeddedWarehouse::Impl {
 public:
  explicit Impl(EmbeddedWarehouseOptions given) : options_(std::move(given)) {
    std::error_code ignored;
    options_.directory = fs::absolute(options_.directory, ignored).lexically_normal();
    if (options_.program.empty()) options_.program = own_folder() / "millrace-warehouse";
  }

  base::Result<void> start(base::Deadline deadline) {
    MILLRACE_ASSERT(supervisor_ == nullptr);
    if (::access(options_.program.c_str(), X_OK) != 0)
      return base::not_found(
          fmt::format("{} is not there: build it with 'make build'", options_.program.string()));
    MILLRACE_TRY_ASSIGN(lock_, take_server_directory(options_.directory, deadline));
    {
      MILLRACE_TRY_ASSIGN(SecretFile password, SecretFile::make(options_.password));
      password_.emplace(std::move(password));
    }
    base::Result<void> started = check_port();
    if (started) {
      supervisor_ = std::make_unique<Supervisor>(service());
      started = supervisor_->start(deadline);
    }
    if (!started) stop();
    return started;
  }

  void stop() {
    supervisor_.reset();
    password_.reset();
    lock_.reset();
  }

  [[nodiscard]] ServiceStatus status() const {
    if (supervisor_ != nullptr) return supervisor_->status();
    ServiceStatus status;
    status.name = "millrace-warehouse";
    return status;
  }

  [[nodiscard]] fs::path log_file() const { return options_.directory / "warehouse.log"; }

 private:
  base::Result<void> check_port() const {
    if (auto free = check_port_free(options_.host, options_.port); !free)
      return base::fail(
          free.error().kind,
          fmt::format(
              "{}; another ClickHouse server may be running there, which is left alone: stop it, or choose "
              "another port for the private warehouse",
              free.error().message),
          free.error().vendor_code);
    return {};
  }

  [[nodiscard]] Service service() const {
    Service service;
    service.child.name = "millrace-warehouse";
    service.child.program = options_.program;
    service.child.log_file = log_file();
    service.child.kept_files = {lock_->file(), password_->file()};
    service.child.arguments = {
        "--path",        (options_.directory / "data").string(), "--host",           options_.host,
        "--port",        std::to_string(options_.port),          "--user",           options_.user,
        "--password-fd", std::to_string(password_->file()),      "--die-with-parent"};
    if (options_.unconfined) service.child.arguments.emplace_back("--unconfined");
    service.child.arguments.insert(service.child.arguments.end(), options_.extra_arguments.begin(),
                                   options_.extra_arguments.end());
    service.child.environment = options_.environment;
    service.before_start = [this] { return check_port(); };
    service.probe = [host = options_.host,
                     port = options_.port](base::Deadline deadline) -> base::Result<void> {
      const std::string request = fmt::format("GET /ping HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                              base::host_and_port(host, port));
      MILLRACE_TRY_ASSIGN(const std::string answer, first_answer(host, port, request, deadline));
      if (answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200")) return {};
      return base::unavailable("the warehouse does not answer GET /ping with 200");
    };
    return service;
  }

  EmbeddedWarehouseOptions options_;
  std::optional<base::DirectoryLock> lock_;
  std::optional<SecretFile> password_;
  std::unique_ptr<Supervisor> supervisor_;
};

EmbeddedWarehouse::EmbeddedWarehouse(EmbeddedWarehouseOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
EmbeddedWarehouse::~EmbeddedWarehouse() {
  stop();
}
base::Result<void> EmbeddedWarehouse::start(base::Deadline deadline) {
  return impl_->start(deadline);
}
void EmbeddedWarehouse::stop() {
  impl_->stop();
}
ServiceStatus EmbeddedWarehouse::status() const {
  return impl_->status();
}
std::filesystem::path EmbeddedWarehouse::log_file() const {
  return impl_->log_file();
}

}  // namespace millrace::supervise
