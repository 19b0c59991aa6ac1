#include "app/commands.h"

#include <cstdio>
#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "adapters/mysql/migrations.h"
#include "adapters/mysql/mysql_sql_reader.h"
#include "app/neighbours.h"
#include "app/warehouse_schema.h"
#include "base/url.h"
#include "ordering/order_service.h"
#include "tools/backfill.h"
#include "tools/import_online_retail.h"
#include "tools/progress.h"
#include "verify/report.h"
#include "verify/verify.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kInitTimeout{120'000};
constexpr std::chrono::milliseconds kCountTimeout{60'000};

}  // namespace

base::Result<void> run_init_db(const Settings& settings, const InitDbOptions& options) {
  MILLRACE_TRY_ASSIGN(auto address, adapters::mysql::parse_server_url(
                                        options.url.empty() ? mysql_url(settings) : options.url));
  if (!options.url.empty()) {
    if (!address.password.empty())
      return base::invalid(
          "--url with a password is refused, because everybody on this machine can read command lines: leave "
          "it out and set MILLRACE_MYSQL_PASSWORD or --mysql-password-file FILE, or give the whole URL by "
          "MILLRACE_MYSQL_URL or --mysql-url-file FILE");
    address.password = settings.mysql_password;
  }
  MILLRACE_TRY_ASSIGN(const auto report, adapters::mysql::init_db(address, {.sample_shop = options.sample},
                                                                  base::Deadline::in(kInitTimeout)));
  if (report.applied.empty()) {
    fmt::print("{} is up to date\n", address.shown());
  } else {
    for (const std::string_view name : report.applied)
      fmt::print("applied {} to {}\n", name, address.shown());
  }
  return {};
}

base::Result<void> run_init_warehouse(const Settings& settings) {
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  MILLRACE_TRY(init_warehouse(*neighbours->warehouse, base::Deadline::in(kInitTimeout)));
  fmt::print("the warehouse at {} is up to date\n", clickhouse_url(settings));
  return {};
}

base::Result<void> run_import(const Settings& settings, const std::string& kind, const std::string& file,
                              const base::StopSignal& stop) {
  if (kind != "online-retail")
    return base::invalid(fmt::format("'{}' cannot be imported; use online-retail", kind));
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  ordering::OrderService orders(*neighbours->store, neighbours->clock, ordering_options(settings), [] {});
  tools::ImportProgressPrinter printer(stderr);
  const auto report = tools::import_online_retail(
      file, {}, orders, stop, [&](const tools::ImportProgress& now) { printer.show(now); });
  if (!report && report.error().message.find(file) != std::string::npos)
    return std::unexpected(report.error());
  if (!report) return base::with_context(file, report.error());
  std::cout << tools::to_text(*report);
  if (report->stopped) return base::unavailable("stopped before the end; run the import again to go on");
  return {};
}

base::Result<void> run_backfill(const Settings& settings, const base::StopSignal& stop) {
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  ordering::OrderService orders(*neighbours->store, neighbours->clock, ordering_options(settings), [] {});
  const auto submit = [&orders](ordering::Command command, ordering::OnDone done) {
    orders.submit(std::move(command), std::move(done));
  };
  tools::ImportProgressPrinter printer(stderr);
  MILLRACE_TRY_ASSIGN(const auto report,
                      tools::backfill(*neighbours->store, submit, {}, stop,
                                      [&](const tools::ImportProgress& now) { printer.show(now); }));
  std::cout << tools::to_text(report);
  if (report.stopped) return base::unavailable("stopped before the end; run the backfill again to go on");
  if (report.refused > 0)
    return base::invalid(
        fmt::format("{} orders cannot be announced as they are; correct them and run the backfill again",
                    report.refused));
  return {};
}

base::Result<bool> run_verify(const Settings& settings, const VerifyCommand& command,
                              const base::StopSignal& stop) {
  MILLRACE_TRY_ASSIGN(const auto neighbours, make_neighbours(settings));
  adapters::mysql::MysqlSqlReader reader(neighbours->store_address);
  verify::VerifyOptions options;
  options.patience = command.patience;
  options.purge_after = std::chrono::duration_cast<std::chrono::seconds>(settings.purge_period);
  options.stop = &stop;
  const bool show = isatty(STDERR_FILENO) != 0;
  MILLRACE_TRY_ASSIGN(
      const auto report,
      verify::verify(reader, *neighbours->warehouse, options, [&](const verify::VerifyProgress& now) {
        if (show)
          fmt::print(stderr, "\r\x1b[K{}: {}, {} to check again", now.doing, now.rows, now.candidates);
      }));
  if (show) fmt::print(stderr, "\r\x1b[K");
  std::cout << (command.json ? verify::to_json(report) + "\n" : verify::to_table(report));
  if (!report.clean()) {
    const auto unannounced = neighbours->store->count_unannounced(base::Deadline::in(kCountTimeout));
    if (unannounced && *unannounced > 0)
      fmt::print(stderr,
                 "{} orders were there before the pipeline and have not been sent: run millrace backfill\n",
                 *unannounced);
  }
  return report.clean();
}

base::Result<void> run_load_command(const Settings& settings, const LoadCommand& command,
                                    const base::StopSignal& stop) {
  std::unique_ptr<Neighbours> neighbours;
  if (command.watch) {
    MILLRACE_TRY_ASSIGN(neighbours, make_neighbours(settings));
  }
  tools::LoadOptions options = command.load;
  options.api_url = base::http_url(base::connect_host(settings.api_host), settings.api_port);
  adapters::curl::CurlHttpClient client({.connections_max = options.workers + 1, .ca_file = {}});
  MILLRACE_TRY_ASSIGN(
      const auto report,
      tools::run_load(client, neighbours ? neighbours->warehouse.get() : nullptr, options, stop));
  std::cout << tools::to_json(report) << "\n";
  return {};
}

}  // namespace millrace::app
