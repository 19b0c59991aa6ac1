#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
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
#include "app/wiring/jobs.h"
#include "app/wiring/metrics.h"
#include "app/wiring/pipeline.h"
#include "app/wiring/servers.h"
#include "app/wiring/stop_watchdog.h"
#include "app/wiring/summary.h"
#include "app/wiring/tracing.h"
#include "app/wiring/verify_schedule.h"
#include "app/wiring/warehouse_schema.h"
#include "base/url.h"
#include "dead_letters/dead_letters.h"
#include "inspect/log_view.h"
#include "sink/base_rows.h"
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

std::vector<SummaryLine> addresses(const Settings& settings, const ApiServer& front) {
  const std::string api =
      base::http_url(settings.api_host == "127.0.0.1" ? "localhost" : settings.api_host, front.port());
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
  Display(const Settings& settings, ApiServer& front, Pipeline& pipeline, Servers& servers,
          const VerifySchedule& verify, bool screen, std::vector<std::string> notes)
      : front_(front),
        pipeline_(pipeline),
        servers_(servers),
        verify_(verify),
        screen_(screen),
        addresses_(addresses(settings, front)),
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
    if (const auto stats = front_.analytics().stats(deadline)) snapshot.stats = *stats;
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
  ApiServer& front_;
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

}  // namespace

base::Result<void> run_up(const Settings& given, const UpOptions& options, base::StopSignal& stop) {
  StopWatchdog watchdog;
  Settings settings = given;
  MILLRACE_TRY_ASSIGN(const auto data, DataDirectory::open(settings.data_dir));
  const bool screen = options.summary && isatty(STDOUT_FILENO) != 0;
  const std::string log_file = settings.log_file.empty() && (screen || options.detach)
                                   ? (data->path() / "millrace.log").string()
                                   : settings.log_file;
  MILLRACE_TRY(adapters::system::set_up_logging({settings.log_level, log_file}));
  if (screen) fmt::print("starting; the log is in {}\n", log_file);

  StatusFile status(data->path());
  // Asked for, it is part of the set-up; else another one on this machine may have it.
  const bool connect_port_is_ours =
      is_connect_used(settings) && (options.detach || settings.given.contains("connect.port"));
  MILLRACE_TRY(check_own_ports(settings, connect_port_is_ours));
  MILLRACE_TRY(Servers::check(settings));
  MILLRACE_TRY_ASSIGN(const CredentialsInForce credentials,
                      set_up_credentials(settings, options.dev_credentials));
  const std::vector<std::string> notes = credential_notes(settings, credentials, screen);
  status.set_credentials(credentials_note(credentials.kept, credentials_file(settings)),
                         credentials.made_now);
  MILLRACE_TRY_ASSIGN(const auto dependencies, make_dependencies(settings));
  MILLRACE_TRY_ASSIGN(const auto servers, Servers::start(settings, [&status](std::string_view name) {
                        status.step(fmt::format("{} is ready", name));
                      }));
  std::atomic<std::int64_t> connect_port = 0;  // once it is used
  std::optional<ServiceWatch> watch(std::in_place, status, [&] {
    auto services = servers->services();
    if (connect_port != 0) services.push_back({"connect", "ready", ::getpid(), connect_port, 0, ""});
    return services;
  });
  MILLRACE_TRY(adapters::mysql::init_db(dependencies->store_address, {}, base::Deadline::in(kSchemaTimeout)));
  MILLRACE_TRY(init_warehouse(*dependencies->warehouse, base::Deadline::in(kSchemaTimeout)));

  status.step("the tables of the order store and the warehouse are there");

  MILLRACE_TRY_ASSIGN(auto job, running_job(*dependencies));
  if (options.rebuild && !job) {
    MILLRACE_TRY_ASSIGN(job,
                        dependencies->job_store->submit("rebuild", "{}", base::Deadline::in(kSchemaTimeout)));
  }

  telemetry::Registry registry;
  add_process_metrics(registry);
  const auto tracing = Tracing::start(settings, registry, "up", *dependencies);
  std::unique_ptr<Connect> connect;
  if (is_connect_used(settings)) {
    MILLRACE_TRY_ASSIGN(connect, Connect::make(settings, *dependencies));
    connect_port = settings.connect_port;
  }
  const Stages stages{.control = connect ? &connect->control() : nullptr,
                      .rebuilds = job && job->kind == "rebuild"};
  MILLRACE_TRY_ASSIGN(const auto pipeline,
                      Pipeline::start(settings, *dependencies, registry, stages, job.has_value()));
  MILLRACE_TRY_ASSIGN(const auto jobs,
                      Jobs::start(settings, *dependencies, pipeline->log(), pipeline->sink_tables(),
                                  [&pipeline](bool held) { pipeline->hold(held); }));
  DeliveryMonitor delivery(dependencies->outbox.get(), &pipeline->log(), pipeline->log_stages(),
                           dependencies->clock);
  dead_letters::DeadLetters letters(
      pipeline->log(), *dependencies->dead_letter_store, dependencies->clock,
      [&](const domain::AnalyticsRow& row, base::Deadline deadline) -> base::Result<void> {
        // It would go into the table that a rebuild is about to replace.
        if (pipeline->is_held())
          return base::conflict("a job is running (millrace jobs): replay the letter when it is done");
        return sink::load_base_row(pipeline->sink_tables(), dependencies->clock, row, deadline);
      },
      [&] { pipeline->wake(); });
  VerifySchedule verify(settings, *dependencies);
  add_pipeline_metrics(registry, *pipeline, stages);
  add_delivery_metrics(registry, delivery);
  add_dead_letter_metrics(registry, letters);
  add_verify_metrics(registry, verify);
  inspect::LogView log_view(settings.event_log_kind, pipeline->log(), pipeline->log_inspector(),
                            dependencies->clock);
  MILLRACE_TRY_ASSIGN(const auto front,
                      ApiServer::start(settings, *dependencies, registry, [&] { pipeline->wake(); },
                                       {.letters = &letters,
                                        .jobs = &jobs->service(),
                                        .log = &log_view,
                                        .metrics = [&] { return registry.text(); },
                                        .metrics_content_type = std::string(telemetry::kTextContentType),
                                        .readiness =
                                            [&] {
                                              auto all = pipeline->stages();
                                              all.push_back(jobs->status());
                                              return pipeline_readiness(all, delivery.state());
                                            }}));
  Display display(settings, *front, *pipeline, *servers, verify, screen, notes);
  if (connect_port_is_ours) MILLRACE_TRY(connect->serve());
  for (const auto& [name, value] : display.shown_addresses()) spdlog::info("{}: {}", name, value);
  status.set_endpoints(endpoints(settings, credentials.kept, front->port()));
  // Up means that an order becomes visible in its usual time. A log that is away, or stages elsewhere that
  // have all partitions, hold it up for a moment only: orders are taken in any case.
  const auto flowing_by = base::Deadline::in(kFlowTimeout);
  while (!pipeline->is_flowing() && !flowing_by.passed() && !stop.wait_for(kFlowPoll)) {
  }
  status.set_phase(StackPhase::kReady);
  {
    std::optional<Demo> demo;
    if (options.demo)
      demo.emplace(base::http_url(base::connect_host(settings.api_host), front->port()), options.demo_rate);
    do {
      if (connect) connect->try_to_serve();
      display.show();
    } while (!stop.wait_for(display.interval()));
  }

  status.set_phase(StackPhase::kStopping);
  status.step("finishing what was accepted");
  verify.request_stop();
  if (screen) fmt::print("\nstopping: finishing what was accepted\n");
  const auto stop_by = base::Deadline::in(settings.stop_timeout);
  watchdog.arm(settings.stop_timeout + kServersStopTimeout);
  if (connect) connect->stop(base::Deadline::in(kConnectStopTimeout));
  front->stop(stop_by);
  jobs->stop(stop_by);
  if (!pipeline->drain(base::Deadline::in(std::min(kDrainTimeout, stop_by.left()))))
    spdlog::info("stopped with events on their way; the next start resumes there");
  pipeline->stop(stop_by);
  tracing->stop(stop_by);
  watch.reset();
  status.step("stopping the servers");
  // Also ends the calls of stages that still wait for one of them.
  servers->stop();
  return {};
}

}  // namespace millrace::app
