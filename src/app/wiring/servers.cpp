#include "app/wiring/servers.h"

#include <filesystem>
#include <future>
#include <mutex>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kStartTimeout{180'000};
constexpr std::uint64_t kMebibyte = 1u << 20u;

/// The nodes that listen where the brokers are to be found.
base::Result<std::vector<supervise::KafkaNodePorts>> kafka_nodes(const std::string& brokers) {
  constexpr int kControllerDistance = 10'000;
  std::vector<supervise::KafkaNodePorts> nodes;
  for (std::string_view rest = brokers; !rest.empty();) {
    const std::string_view entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    const std::size_t colon = entry.find(':');
    const std::string_view host = entry.substr(0, colon);
    const int port =
        colon == std::string_view::npos ? 0 : base::parse_int<int>(entry.substr(colon + 1)).value_or(0);
    if ((host != "127.0.0.1" && host != "localhost") || port < 1 || port + kControllerDistance > UINT16_MAX)
      return base::invalid(
          fmt::format("kafka.brokers must list 127.0.0.1:port with ports from 1 to {} for the embedded "
                      "cluster, which takes "
                      "the ports {} above them too",
                      UINT16_MAX - kControllerDistance, kControllerDistance));
    nodes.push_back(
        {static_cast<std::uint16_t>(port), static_cast<std::uint16_t>(port + kControllerDistance)});
  }
  return nodes;
}

SummaryLine line_of(const supervise::ServiceStatus& status) {
  std::string value(to_string(status.state));
  if (status.pid > 0) value += fmt::format(", process {}", status.pid);
  if (status.restarts > 0) value += fmt::format(", {} restarts", status.restarts);
  return {status.name, std::move(value)};
}

}  // namespace

/// An embedded server listens on this machine only and has the users that it is given.
base::Result<void> Servers::check(const Settings& settings) {
  const auto local = [](const std::string& host) { return host == "127.0.0.1" || host == "localhost"; };
  if (settings.mysql_embedded && !settings.mysql_url.empty())
    return base::invalid("mysql.url names a server of your own: set mysql.embedded to false as well");
  if (settings.mysql_embedded && !local(settings.mysql_host))
    return base::invalid(
        "mysql.host must be 127.0.0.1 with the embedded server; for another one set mysql.embedded to false");
  if (settings.mysql_embedded && settings.mysql_user != "root" && settings.mysql_user != "admin")
    return base::invalid("mysql.user must be root or admin with the embedded server");
  if (settings.clickhouse_embedded && !settings.clickhouse_url.empty())
    return base::invalid(
        "clickhouse.url names a server of your own: set clickhouse.embedded to false as well");
  if (settings.clickhouse_embedded && !local(settings.clickhouse_host))
    return base::invalid(
        "clickhouse.host must be 127.0.0.1 with the embedded server; for another one set clickhouse.embedded "
        "to false");
  return {};
}

base::Result<std::unique_ptr<Servers>> Servers::start(const Settings& settings,
                                                      std::function<void(std::string_view)> on_ready) {
  MILLRACE_TRY(check(settings));
  const std::filesystem::path data = std::filesystem::absolute(settings.data_dir).lexically_normal();
  const auto deadline = base::Deadline::in(kStartTimeout);
  std::unique_ptr<Servers> servers(new Servers);
  servers->settings_ = settings;
  std::mutex telling;
  const auto told = [&](std::string_view name, std::string_view setting, base::Result<void> started) {
    if (!started && started.error().kind == base::ErrorKind::kConflict)
      started.error().message += fmt::format(" (setting {})", setting);
    const std::lock_guard lock(telling);
    if (started && on_ready) on_ready(name);
    return started;
  };
  std::future<base::Result<void>> mariadb_started;
  if (settings.mysql_embedded) {
    supervise::EmbeddedMariadbOptions options;
    options.directory = data / "mysql";
    options.port = static_cast<std::uint16_t>(settings.mysql_port);
    options.database = settings.mysql_database;
    options.password = settings.embedded_admin_password;
    options.root_password = settings.embedded_root_password;
    options.unconfined = settings.mysql_unconfined;
    options.buffer_pool_bytes = static_cast<std::uint64_t>(settings.mysql_buffer_pool_mb) * kMebibyte;
    servers->mariadb_ = std::make_unique<supervise::EmbeddedMariadb>(std::move(options));
    mariadb_started = std::async(
        std::launch::async, [&] { return told("mysql", "mysql.port", servers->mariadb_->start(deadline)); });
  }
  std::future<base::Result<void>> kafka_started;
  if (settings.event_log_kind == "kafka" && settings.kafka_embedded) {
    supervise::EmbeddedKafkaOptions options;
    options.directory = data / "kafka";
    MILLRACE_TRY_ASSIGN(options.nodes, kafka_nodes(settings.kafka_brokers));
    servers->kafka_nodes_ = options.nodes;
    servers->kafka_ = std::make_unique<supervise::EmbeddedKafka>(std::move(options));
    kafka_started = std::async(
        std::launch::async, [&] { return told("kafka", "kafka.brokers", servers->kafka_->start(deadline)); });
  }
  base::Result<void> warehouse_started = {};
  if (settings.clickhouse_embedded) {
    supervise::EmbeddedWarehouseOptions options;
    options.directory = data / "clickhouse";
    options.port = static_cast<std::uint16_t>(settings.clickhouse_port);
    options.user = settings.clickhouse_user;
    options.password = settings.clickhouse_password;
    options.unconfined = settings.clickhouse_unconfined;
    for (const auto& [flag, value] : {std::pair("--allowed-hosts", settings.http_allowed_hosts),
                                      std::pair("--cors-origins", settings.cors_origins)})
      if (!value.empty()) options.extra_arguments.insert(options.extra_arguments.end(), {flag, value});
    servers->warehouse_ = std::make_unique<supervise::EmbeddedWarehouse>(std::move(options));
    warehouse_started = told("clickhouse", "clickhouse.port", servers->warehouse_->start(deadline));
  }
  if (mariadb_started.valid()) MILLRACE_TRY(mariadb_started.get());
  if (kafka_started.valid()) MILLRACE_TRY(kafka_started.get());
  MILLRACE_TRY(warehouse_started);
  return servers;
}

std::vector<SummaryLine> Servers::states() const {
  std::vector<SummaryLine> lines;
  if (mariadb_) lines.push_back(line_of(mariadb_->status()));
  if (warehouse_) lines.push_back(line_of(warehouse_->status()));
  if (kafka_)
    for (const supervise::ServiceStatus& node : kafka_->status()) lines.push_back(line_of(node));
  return lines;
}

std::vector<ServiceEntry> Servers::services() const {
  std::vector<ServiceEntry> entries;
  const auto add = [&](std::string name, std::int64_t port, const supervise::ServiceStatus& status) {
    entries.push_back({std::move(name), std::string(to_string(status.state)), status.pid, port,
                       status.restarts, status.last_problem});
  };
  if (mariadb_) add("mysql", settings_.mysql_port, mariadb_->status());
  if (warehouse_) add("clickhouse", settings_.clickhouse_port, warehouse_->status());
  if (kafka_) {
    const auto nodes = kafka_->status();
    for (std::size_t node = 0; node < nodes.size(); ++node)
      add(fmt::format("kafka-{}", node + 1), kafka_nodes_.at(node).listener, nodes[node]);
  }
  return entries;
}

void Servers::stop() {
  std::future<void> mariadb_stopped;
  if (mariadb_) mariadb_stopped = std::async(std::launch::async, [this] { mariadb_->stop(); });
  std::future<void> kafka_stopped;
  if (kafka_) kafka_stopped = std::async(std::launch::async, [this] { kafka_->stop(); });
  if (warehouse_) warehouse_->stop();
  if (mariadb_stopped.valid()) mariadb_stopped.get();
  if (kafka_stopped.valid()) kafka_stopped.get();
}

}  // namespace millrace::app
