#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "adapters/mysql/migrations.h"
#include "adapters/system/logging.h"
#include "app/config/credentials.h"
#include "app/local/status_file.h"
#include "app/roles/roles.h"
#include "app/wiring/admin_server.h"
#include "app/wiring/api_server.h"
#include "app/wiring/connect.h"
#include "app/wiring/data_directory.h"
#include "app/wiring/delivery_monitor.h"
#include "app/wiring/dependencies.h"
#include "app/wiring/metrics.h"
#include "app/wiring/operations.h"
#include "app/wiring/pipeline.h"
#include "app/wiring/servers.h"
#include "app/wiring/stop_watchdog.h"
#include "app/wiring/summary.h"
#include "app/wiring/tracing.h"
#include "app/wiring/warehouse_schema.h"
#include "base/url.h"
#include "supervise/tcp_probe.h"
#include "tools/load.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kSchemaTimeout{60'000};
constexpr std::chrono::milliseconds kSummaryTimeout{2'000};
constexpr std::chrono::milliseconds kScreenInterval{1'000};
constexpr std::chrono::milliseconds kLineInterval{10'000};
constexpr std::chrono::milliseconds kServersStopTimeout{25'000};  // SIGTERM, and SIGKILL after 20 s
constexpr std::chrono::milliseconds kConnectStopTimeout{2'000};
constexpr std::chrono::milliseconds kFlowTimeout{15'000};
constexpr std::chrono::milliseconds kFlowPoll{20};
constexpr std::chrono::milliseconds kDrainTimeout{10'000};

/// The gentle stream of orders, on a thread of its own.
class Demo {
 public:
  Demo(const std::string& api_url, double rate) : client_({.connections_max = 2, .ca_file = {}}) {
    options_.api_url = api_url;
    options_.orders_per_second = rate;
    options_.delete_share = 0.05;
    options_.seed = std::random_device{}();
    thread_ = std::thread([this] {
      while (!stop_.requested()) {
        const auto report = tools::run_load(client_, nullptr, options_, stop_);
        if (!report) spdlog::warn("demo orders: {}", report.error().message);
        stop_.wait_for(kScreenInterval);
      }
    });
  }
  ~Demo() {
    stop_.request();
    thread_.join();
  }
  Demo(const Demo&) = delete;
  Demo& operator=(const Demo&) = delete;

 private:
  adapters::curl::CurlHttpClient client_;
  tools::LoadOptions options_;
  base::StopSignal stop_;
  std::thread thread_;
};

std::vector<SummaryLine> addresses(const Settings& settings, const ApiServer& api_server) {
  const std::string api =
      base::http_url(settings.api_host == "127.0.0.1" ? "localhost" : settings.api_host, api_server.port());
  return {{"HTTP API", api + "/api/orders"},
          {"sales figures", api + "/api/analytics/stats"},
          {"ClickHouse", fmt::format("{}  user {}", clickhouse_url(settings), settings.clickhouse_user)},
          {"MySQL",
           settings.mysql_url.empty()
               ? fmt::format("{}/{}  user {}", base::host_and_port(settings.mysql_host, settings.mysql_port),
                             settings.mysql_database, settings.mysql_user)
               : "as given by mysql.url"},
          {"data", std::filesystem::absolute(settings.data_dir).lexically_normal().string()}};
}

base::Result<void> check_own_ports(const Settings& settings, bool connect_port_is_ours) {
  // Now, and not when everything else has started.
  const auto check = [](const std::string& host, std::int64_t port,
                        std::string_view setting) -> base::Result<void> {
    if (port == 0) return {};
    auto free = supervise::check_port_free(host, static_cast<std::uint16_t>(port));
    if (free || free.error().kind != base::ErrorKind::kConflict) return {};
    return base::conflict(fmt::format("{}; stop the program that has it, or choose another (setting {})",
                                      free.error().message, setting));
  };
  MILLRACE_TRY(check(settings.api_host, settings.api_port, "api.port"));
  if (!connect_port_is_ours) return {};
  return check(settings.connect_host, settings.connect_port, "connect.port");
}

std::vector<Endpoint> endpoints(const Settings& settings, const Credentials& kept, std::uint16_t api_port) {
  const auto shown = [](const std::string& host) { return host == "127.0.0.1" ? "localhost" : host; };
  const auto credentials = [&](std::string_view known, const std::string& user, const std::string& password) {
    if (password.empty()) return std::string("as configured");
    return kept.development ? std::string(known) : fmt::format("{}, password kept", user);
  };
  std::vector<Endpoint> list = {{"backend API", base::http_url(shown(settings.api_host), api_port),
                                 "admin routes want an X-Admin-Id header"}};
  if (settings.mysql_url.empty())
    list.push_back(
        {"MySQL",
         fmt::format("{}, database {}", base::host_and_port(shown(settings.mysql_host), settings.mysql_port),
                     settings.mysql_database),
         credentials("root/test123, admin/test123", kept.mysql_user, kept.mysql_password)});
  if (settings.event_log_kind == "kafka") {
    std::string brokers = settings.kafka_brokers;
    for (std::size_t at = 0; (at = brokers.find("127.0.0.1", at)) != std::string::npos;)
      brokers.replace(at, std::string_view("127.0.0.1").size(), "localhost");
    list.push_back({"Kafka", brokers, ""});
  }
  if (is_connect_used(settings) && settings.connect_port != 0)
    list.push_back(
        {"Kafka Connect REST", base::http_url(shown(settings.connect_host), settings.connect_port), ""});
  list.push_back(
      {"ClickHouse HTTP",
       (settings.clickhouse_url.empty()
            ? base::http_url(shown(settings.clickhouse_host), settings.clickhouse_port)
            : settings.clickhouse_url) +
           ", database analytics",
       credentials(kept.clickhouse_user + "/test123", kept.clickhouse_user, kept.clickhouse_password)});
  return list;
}

/// Says which credentials the servers have; what must not be in a log is shown on a terminal alone.
/// Shape: the lines for the screen, which is drawn over what was printed before.
std::vector<std::string> credential_notes(const Settings& settings, const CredentialsInForce& credentials,
                                          bool screen) {
  const auto file = credentials_file(settings);
  const std::string note = credentials_note(credentials.kept, file);
  spdlog::info("{}{}", note, credentials.made_now ? " (made now)" : "");
  std::vector<std::string> notes = {note};
  if (credentials.made_now) notes = shown_once(credentials.kept, file);
  if (screen)
    for (const std::string& line : notes) fmt::print("{}\n", line);
  return notes;
}

class Display {
 public:
  Display(const Settings& settings, ApiServer& api_server, Pipeline& pipeline, Servers& servers,
          const VerifySchedule& verify, bool screen, std::vector<std::string> notes)
      : api_server_(api_server),
        pipeline_(pipeline),
        servers_(servers),
        verify_(verify),
        screen_(screen),
        addresses_(addresses(settings, api_server)),
        notes_(std::move(notes)) {}

  [[nodiscard]] const std::vector<SummaryLine>& shown_addresses() const { return addresses_; }
  [[nodiscard]] std::chrono::milliseconds interval() const {
    return screen_ ? kScreenInterval : kLineInterval;
  }

  void show() {
    Snapshot snapshot;
    snapshot.addresses = addresses_;
    snapshot.notes = notes_;
    const auto deadline = base::Deadline::in(kSummaryTimeout);
    if (const auto stats = api_server_.analytics().stats(deadline)) snapshot.stats = *stats;
    if (const auto lag = pipeline_.lag(deadline)) snapshot.lag = *lag;
    const auto& sink = pipeline_.sink_stats();
    const auto& transform = pipeline_.transform_stats();
    snapshot.freshness_ms = sink.last_freshness_ms;
    snapshot.rows_loaded = sink.rows_loaded;
    snapshot.repeats_dropped =
        sink.repeats_dropped + transform.repeats_dropped + transform.former_owner_dropped;
    snapshot.dead_letters = sink.dead_letters + transform.dead_letters;
    snapshot.servers = servers_.states();
    const VerifyState verified = verify_.state();
    if (verified.last_success) snapshot.verified = {*verified.last_success, verified.differences};
    const auto now = std::chrono::steady_clock::now();
    snapshot.uptime = std::chrono::duration_cast<std::chrono::seconds>(now - started_);
    const double seconds = std::chrono::duration<double>(now - last_at_).count();
    if (seconds > 0)
      snapshot.rows_per_second = static_cast<double>(snapshot.rows_loaded - last_rows_) / seconds;
    last_at_ = now;
    last_rows_ = snapshot.rows_loaded;
    if (screen_) {
      const std::string text = to_screen(snapshot);
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    } else {
      spdlog::info("{}", to_line(snapshot));
    }
  }

 private:
  ApiServer& api_server_;
  Pipeline& pipeline_;
  Servers& servers_;
  const VerifySchedule& verify_;
  bool screen_;
  std::vector<SummaryLine> addresses_;
  std::vector<std::string> notes_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_at_ = started_;
  std::uint64_t last_rows_ = 0;
};

/// Everything that `up` runs. The steps are called once each, in the order of their declaration; the
/// destructor stops what a step that failed has left running. One caller.
class Stack {
 public:
  Stack(const Settings& settings, const UpOptions& options) : settings_(settings), options_(options) {}

  /// The data directory, the log, the ports, the passwords. Errors: as run_up.
  base::Result<void> prepare();
  /// The embedded servers, and the tables in them. Errors: as run_up.
  base::Result<void> start_servers();
  /// The stages, the jobs and the API. Errors: as run_up.
  base::Result<void> start_pipeline();
  /// Says that the stack is there, and shows how it does, until `stop`.
  void serve(const base::StopSignal& stop);
  /// Finishes what was accepted, and stops the servers.
  void stop();

 private:
  [[nodiscard]] std::vector<ServiceEntry> services() const;
  /// The job to begin with, if there is one: a rebuild that is asked for counts already.
  base::Result<std::optional<ports::Job>> first_job();
  base::Result<void> start_api();
  void wait_for_flow(const base::StopSignal& stop);

  StopWatchdog watchdog_;
  Settings settings_;
  const UpOptions options_;
  std::unique_ptr<DataDirectory> data_;
  bool screen_ = false;
  // Asked for, the port is part of the stack; else another one on this machine may have it.
  bool connect_port_is_ours_ = false;
  std::optional<StatusFile> status_;
  CredentialsInForce credentials_;
  std::vector<std::string> notes_;
  std::unique_ptr<Dependencies> dependencies_;
  std::unique_ptr<Servers> servers_;
  std::atomic<std::int64_t> connect_port_ = 0;  // once it is used
  std::optional<ServiceWatch> watch_;
  telemetry::Registry registry_;
  std::unique_ptr<Tracing> tracing_;
  std::unique_ptr<Connect> connect_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<Operations> operations_;
  std::optional<DeliveryMonitor> delivery_;
  std::unique_ptr<ApiServer> api_server_;
  std::optional<Display> display_;
};

base::Result<void> Stack::prepare() {
  MILLRACE_TRY_ASSIGN(data_, DataDirectory::open(settings_.data_dir));
  screen_ = options_.summary && isatty(STDOUT_FILENO) != 0;
  const std::string log_file = settings_.log_file.empty() && (screen_ || options_.detach)
                                   ? (data_->path() / "millrace.log").string()
                                   : settings_.log_file;
  MILLRACE_TRY(adapters::system::set_up_logging({settings_.log_level, log_file}));
  if (screen_) fmt::print("starting; the log is in {}\n", log_file);
  status_.emplace(data_->path());
  connect_port_is_ours_ =
      is_connect_used(settings_) && (options_.detach || settings_.given.contains("connect.port"));
  MILLRACE_TRY(check_own_ports(settings_, connect_port_is_ours_));
  MILLRACE_TRY(Servers::check(settings_));
  MILLRACE_TRY_ASSIGN(credentials_, set_up_credentials(settings_, options_.dev_credentials));
  notes_ = credential_notes(settings_, credentials_, screen_);
  status_->set_credentials(credentials_note(credentials_.kept, credentials_file(settings_)),
                           credentials_.made_now);
  return {};
}

base::Result<void> Stack::start_servers() {
  MILLRACE_TRY_ASSIGN(dependencies_, make_dependencies(settings_));
  MILLRACE_TRY_ASSIGN(servers_, Servers::start(settings_, [this](std::string_view name) {
                        status_->step(fmt::format("{} is ready", name));
                      }));
  watch_.emplace(*status_, [this] { return services(); });
  MILLRACE_TRY(
      adapters::mysql::init_db(dependencies_->store_address, {}, base::Deadline::in(kSchemaTimeout)));
  MILLRACE_TRY(init_warehouse(*dependencies_->warehouse, base::Deadline::in(kSchemaTimeout)));
  status_->step("the tables of the order store and the warehouse are there");
  return {};
}

std::vector<ServiceEntry> Stack::services() const {
  auto services = servers_->services();
  if (connect_port_ != 0) services.push_back({"connect", "ready", ::getpid(), connect_port_, 0, ""});
  return services;
}

base::Result<std::optional<ports::Job>> Stack::first_job() {
  MILLRACE_TRY_ASSIGN(auto job, running_job(*dependencies_));
  if (options_.rebuild && !job) {
    MILLRACE_TRY_ASSIGN(
        job, dependencies_->job_store->submit("rebuild", "{}", base::Deadline::in(kSchemaTimeout)));
  }
  return job;
}

base::Result<void> Stack::start_pipeline() {
  MILLRACE_TRY_ASSIGN(const auto job, first_job());
  add_process_metrics(registry_);
  tracing_ = Tracing::start(settings_, registry_, "up", *dependencies_);
  if (is_connect_used(settings_)) {
    MILLRACE_TRY_ASSIGN(connect_, Connect::make(settings_, *dependencies_));
    connect_port_ = settings_.connect_port;
  }
  const Stages stages{.control = connect_ ? &connect_->control() : nullptr,
                      .rebuilds = job && job->kind == "rebuild"};
  MILLRACE_TRY_ASSIGN(pipeline_,
                      Pipeline::start(settings_, *dependencies_, registry_, stages, job.has_value()));
  MILLRACE_TRY_ASSIGN(
      operations_, Operations::start(settings_, *dependencies_, pipeline_->log(), pipeline_->log_inspector(),
                                     {.hold = [this](bool held) { pipeline_->hold(held); },
                                      .on_replayed = [this] { pipeline_->wake(); }}));
  delivery_.emplace(dependencies_->outbox.get(), &pipeline_->log(), pipeline_->log_stages(),
                    dependencies_->clock);
  add_pipeline_metrics(registry_, *pipeline_, stages);
  add_delivery_metrics(registry_, *delivery_);
  add_operations_metrics(registry_, *operations_);
  MILLRACE_TRY(start_api());
  display_.emplace(settings_, *api_server_, *pipeline_, *servers_, *operations_->verify(), screen_,
                   std::move(notes_));
  if (connect_port_is_ours_) MILLRACE_TRY(connect_->serve());
  return {};
}

base::Result<void> Stack::start_api() {
  auto parts = operations_->parts();
  parts.metrics = [this] { return registry_.text(); };
  parts.metrics_content_type = std::string(telemetry::kTextContentType);
  parts.readiness = [this] {
    auto all = pipeline_->stages();
    all.push_back(operations_->jobs().status());
    return pipeline_readiness(all, delivery_->state());
  };
  MILLRACE_TRY_ASSIGN(api_server_, ApiServer::start(
                                       settings_, *dependencies_, registry_, [this] { pipeline_->wake(); },
                                       std::move(parts)));
  return {};
}

/// Up means that an order becomes visible in its usual time. A log that is unavailable, or stages elsewhere
/// that have all partitions, hold it up for a moment only: orders are taken in any case.
void Stack::wait_for_flow(const base::StopSignal& stop) {
  const auto flowing_by = base::Deadline::in(kFlowTimeout);
  while (!pipeline_->is_flowing() && !flowing_by.passed() && !stop.wait_for(kFlowPoll)) {
  }
}

void Stack::serve(const base::StopSignal& stop) {
  for (const auto& [name, value] : display_->shown_addresses()) spdlog::info("{}: {}", name, value);
  status_->set_endpoints(endpoints(settings_, credentials_.kept, api_server_->port()));
  wait_for_flow(stop);
  status_->set_phase(StackPhase::kReady);
  std::optional<Demo> demo;
  if (options_.demo)
    demo.emplace(base::http_url(base::connect_host(settings_.api_host), api_server_->port()),
                 options_.demo_rate);
  do {
    if (connect_) connect_->try_to_serve();
    display_->show();
  } while (!stop.wait_for(display_->interval()));
}

void Stack::stop() {
  status_->set_phase(StackPhase::kStopping);
  status_->step("finishing what was accepted");
  operations_->request_stop();
  if (screen_) fmt::print("\nstopping: finishing what was accepted\n");
  const auto stop_by = base::Deadline::in(settings_.stop_timeout);
  watchdog_.arm(settings_.stop_timeout + kServersStopTimeout);
  if (connect_) connect_->stop(base::Deadline::in(kConnectStopTimeout));
  api_server_->stop(stop_by);
  operations_->stop(stop_by);
  if (!pipeline_->drain(base::Deadline::in(std::min(kDrainTimeout, stop_by.left()))))
    spdlog::info("stopped with events on their way; the next start resumes there");
  pipeline_->stop(stop_by);
  tracing_->stop(stop_by);
  watch_.reset();
  status_->step("stopping the servers");
  // Also ends the calls of stages that still wait for one of them.
  servers_->stop();
}

}  // namespace

base::Result<void> run_up(const Settings& settings, const UpOptions& options, base::StopSignal& stop) {
  Stack stack(settings, options);
  MILLRACE_TRY(stack.prepare());
  MILLRACE_TRY(stack.start_servers());
  MILLRACE_TRY(stack.start_pipeline());
  stack.serve(stop);
  stack.stop();
  return {};
}

}  // namespace millrace::app
