// millrace: one binary, whose subcommands are the roles and the tools.
//   up                     all roles in one process, with the embedded servers
//   down, ps, logs         the set-up that `up` started
//   api                    the HTTP API alone
//   relay|transform|sink   one stage alone (needs an event log that processes share)
//   init-db, init-warehouse, import, backfill, load, verify, rebuild, replay, jobs, dlq, topics, groups,
//   cluster, config
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <span>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "adapters/system/logging.h"
#include "adapters/system/signals.h"
#include "app/commands.h"
#include "app/credentials.h"
#include "app/dlq.h"
#include "app/exit_codes.h"
#include "app/job_commands.h"
#include "app/log_commands.h"
#include "app/roles/roles.h"
#include "app/run_as.h"
#include "app/settings.h"
#include "app/setup.h"
#include "base/environment.h"

namespace millrace::app {
namespace {

constexpr std::string_view kDefaultConfigFile = "millrace.toml";

int finish(const base::Result<void>& outcome) {
  if (outcome) return kExitOk;
  fmt::print(stderr, "millrace: {}\n", outcome.error().message);
  return exit_code(outcome.error().kind);
}

/// The settings' flags stand on the main command and are understood behind any subcommand.
void add_setting_flags(CLI::App& app, std::map<std::string, std::string>& flags) {
  for (const SettingInfo& info : all_settings()) {
    if (info.secret) continue;
    const std::string key(info.key);
    const std::string section = key.substr(0, key.find('.'));
    app.add_option_function<std::string>(
           info.flag(), [&flags, key](const std::string& value) { flags[key] = value; },
           std::string(info.help))
        ->group("Settings: " + section)
        ->type_name("VALUE");
  }
}

/// Before anything else reads the words, so that no complaint repeats the secret.
base::Result<void> refuse_secret_flags(std::span<char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") break;
    for (const SettingInfo& info : all_settings())
      if (info.secret && word.substr(0, word.find('=')) == info.flag())
        return base::invalid(flag_refusal(info));
  }
  return {};
}

int run(int argc, char** argv) {
  if (const auto allowed = refuse_secret_flags({argv, static_cast<std::size_t>(argc)}); !allowed)
    return finish(allowed);
  CLI::App app("Millrace: order changes from MySQL to live analytics, each counted exactly once.",
               "millrace");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string("millrace ") + kVersion);
  std::string config_file;
  app.add_option("--config", config_file,
                 "TOML file with settings (default: millrace.toml here, if there is one)")
      ->envname("MILLRACE_CONFIG")
      ->type_name("FILE");
  std::map<std::string, std::string> flags;
  add_setting_flags(app, flags);

  const auto command = [&](const std::string& name, const std::string& help) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->fallthrough();
    return sub;
  };
  UpOptions up_options;
  CLI::App* up = command("up", "Run everything in one process, with the embedded servers");
  up->add_flag("--demo", up_options.demo, "Send a gentle stream of orders");
  up->add_option("--demo-rate", up_options.demo_rate, "Demo orders per second")
      ->check(CLI::Range(0.01, 10'000.0));
  up->add_flag(
      "--rebuild", up_options.rebuild,
      "Begin by making the warehouse's tables anew from the order store (after a lost warehouse or log)");
  up->add_flag("--dev-credentials", up_options.dev_credentials,
               "Let the embedded servers have the known passwords of the README instead of generated ones");
  up->add_flag("!--no-summary", up_options.summary, "Log lines only, no live screen");
  up->add_flag("--detach", up_options.detach,
               "In the background: returns when everything is up, and says where it is");
  CLI::App* down = command("down", "Stop the set-up that runs in the data directory");
  PsCommand ps_options;
  CLI::App* ps = command("ps", "Show the services of the set-up that runs in the data directory");
  ps->add_flag("--json", ps_options.json, "As JSON");
  LogsCommand logs_options;
  CLI::App* logs = command("logs", "Show the logs of the set-up in the data directory");
  logs->add_option("service", logs_options.service, "millrace, mysql, clickhouse, kafka-1 …: this one alone");
  logs->add_flag("--follow,-f", logs_options.follow, "Go on as they grow, until Ctrl-C");
  logs->add_option("--lines,-n", logs_options.lines, "The last so many of each")
      ->check(CLI::Range(0, 1'000'000));
  CLI::App* api = command("api", "Run the HTTP API alone");
  std::vector<CLI::App*> stages;
  for (const char* stage : {"relay", "transform", "sink"})
    stages.push_back(command(stage, std::string("Run the stage alone: ") + stage));
  const CLI::App* const relay = stages[0];
  const CLI::App* const sink = stages[2];

  InitDbOptions init_options;
  CLI::App* init_db = command("init-db", "Create or bring up to date the order store's tables");
  init_db->add_option(
      "--url", init_options.url,
      "mysql://user@host:port/database, with the password of mysql.password (default: from the settings)");
  init_db->add_flag("!--no-sample", init_options.sample, "Without the sample users and products");
  CLI::App* init_warehouse =
      command("init-warehouse", "Create or bring up to date the warehouse's tables and views");

  std::string history_kind;
  std::string history_file;
  CLI::App* import = command("import", "Import history through the order service and the outbox");
  import->add_option("kind", history_kind, "online-retail")->required();
  import->add_option("file", history_file, "The CSV file, plain or .zst")->required();

  CLI::App* backfill = command("backfill", "Send the orders that were there before the pipeline");

  VerifyCommand verify_options;
  std::string patience = "30s";
  CLI::App* verify =
      command("verify", "Recompute everything from the order store and compare it with the warehouse");
  verify->add_option("--patience", patience, "How long a difference may take to go away");
  verify->add_flag("--json", verify_options.json, "The report as JSON");

  LoadCommand load_options;
  std::string load_duration = "30s";
  CLI::App* load = command("load", "Send orders to the API at a fixed rate and measure");
  load->add_option("--rate", load_options.load.orders_per_second, "Orders per second")
      ->check(CLI::Range(0.01, 100'000.0));
  load->add_option("--duration", load_duration, "How long, for example 30s");
  load->add_option("--workers", load_options.load.workers, "Requests at once")->check(CLI::Range(1, 1'024));
  load->add_option("--delete-share", load_options.load.delete_share,
                   "Of the orders, how many are deleted again (0 to 1)");
  load->add_option("--seed", load_options.load.seed, "Of the random orders");
  load->add_flag("--watch", load_options.watch, "Measure until the views show the orders");

  CLI::App* dlq = command("dlq", "Dead letters: what could not be transformed or loaded");
  dlq->require_subcommand(1);
  const auto dlq_command = [&](const std::string& name, const std::string& help) {
    CLI::App* sub = dlq->add_subcommand(name, help);
    sub->fallthrough();
    return sub;
  };
  DlqListCommand letters_listed;
  CLI::App* dlq_list = dlq_command("list", "Show those that nobody has replayed or dropped");
  dlq_list->add_option("--topic", letters_listed.topic,
                       "Only those of this topic: order.events or orders_analytics");
  dlq_list->add_flag("--all", letters_listed.all, "Also those that were replayed or dropped");
  dlq_list->add_option("--after", letters_listed.after, "The next part, as the list before names it");
  dlq_list->add_option("--limit", letters_listed.limit, "At most so many")->check(CLI::Range(1, 1'000));
  dlq_list->add_flag("--json", letters_listed.json, "The list as JSON");
  std::string letter_id;
  CLI::App* dlq_show = dlq_command("show", "Show one with its headers and its value");
  dlq_show->add_option("id", letter_id, "As `dlq list` shows it: order.events/2/1234")->required();
  DlqReplayCommand letters_replayed;
  CLI::App* dlq_replay = dlq_command("replay", "Send one again, exactly once however often it is asked for");
  dlq_replay->add_option("id", letters_replayed.id, "As `dlq list` shows it: order.events/2/1234");
  dlq_replay->add_flag("--all", letters_replayed.all, "All that are open");
  dlq_replay->add_option("--topic", letters_replayed.topic, "With --all: only those of this topic");
  dlq_replay
      ->add_option("--value", letters_replayed.value_file,
                   "A file with the corrected event (-: standard input)")
      ->type_name("FILE");
  DlqDropCommand letters_dropped;
  CLI::App* dlq_drop = dlq_command("drop", "Note that one (or all) will not be replayed, and why");
  dlq_drop->add_option("id", letters_dropped.id, "As `dlq list` shows it: order.events/2/1234");
  dlq_drop->add_flag("--all", letters_dropped.all, "All that are open");
  dlq_drop->add_option("--topic", letters_dropped.topic, "With --all: only those of this topic");
  dlq_drop->add_option("--reason", letters_dropped.reason, "Why")->required();

  RebuildCommand rebuild_options;
  CLI::App* rebuild =
      command("rebuild", "Make the warehouse's tables anew from the order store, while everything goes on");
  rebuild->add_flag("!--no-wait", rebuild_options.wait, "Begin it and return");
  ReplayCommand replay_options;
  std::int32_t replay_partition = -1;
  CLI::App* replay = command("replay", "Read a topic again and write its rows into the base table again");
  replay->add_option("--topic", replay_options.topic, "orders_analytics");
  replay->add_option("--from", replay_options.from, "An offset, or a time such as 2026-01-31T12:00:00Z")
      ->required();
  CLI::Option* has_partition = replay->add_option("--partition", replay_partition, "This one alone");
  replay->add_flag("!--no-wait", replay_options.wait, "Begin it and return");
  JobsCommand jobs_options;
  std::uint64_t job_id = 0;
  CLI::App* jobs = command("jobs", "Show rebuilds and replays, the latest first");
  jobs->add_flag("--json", jobs_options.json, "The list as JSON");
  CLI::Option* cancels = jobs->add_option("--cancel", job_id, "Ask this job to end");
  CLI::Option* follows =
      jobs->add_option("--follow", job_id, "Follow this job to its end")->excludes(cancels);

  bool log_json = false;
  bool internal_topics = false;
  const auto below = [](CLI::App* parent, const std::string& name, const std::string& help) {
    CLI::App* sub = parent->add_subcommand(name, help);
    sub->fallthrough();
    return sub;
  };
  CLI::App* topics = command("topics", "The event log's topics: list (alone), show, create, tail");
  topics->require_subcommand(0, 1);
  topics->add_flag("--json", log_json, "The answer as JSON");
  topics->add_flag("--internal", internal_topics, "Also topics that are the log's own");
  below(topics, "list", "All of them, with partitions and messages");
  std::string topic_name;
  CLI::App* topics_show = below(topics, "show", "One with its partitions, leaders, replicas and settings");
  topics_show->add_option("topic", topic_name, "Its name")->required();
  CLI::App* topics_create = below(topics, "create", "Make one, if it is not there");
  topics_create->add_option("topic", topic_name, "Its name")->required();
  std::int32_t topic_partitions = 0;
  topics_create->add_option("--partitions", topic_partitions, "How many; adding some later moves keys")
      ->required();
  TailCommand tail;
  std::int32_t tail_partition = -1;
  CLI::App* topics_tail = below(topics, "tail", "The last messages of one, the latest last");
  topics_tail->add_option("topic", tail.topic, "Its name")->required();
  topics_tail->add_option("--last", tail.last, "How many")->check(CLI::Range(1, 200));
  CLI::Option* of_partition = topics_tail->add_option("--partition", tail_partition, "Of this one alone");
  CLI::App* groups = command("groups", "Consumer groups and their lag: list (alone), show");
  groups->require_subcommand(0, 1);
  groups->add_flag("--json", log_json, "The answer as JSON");
  below(groups, "list", "All of them, with state, members and lag");
  std::string group_name;
  CLI::App* groups_show = below(groups, "show", "Members, and the lag of every partition");
  groups_show->add_option("group", group_name, "Its name (default: all, one after the other)");
  CLI::App* cluster = command("cluster", "Who keeps the event log: brokers, and which are up");
  cluster->add_flag("--json", log_json, "The answer as JSON");

  bool example = false;
  CLI::App* config = command("config", "Show the settings in force");
  config->add_flag("--example", example, "A file with all settings, defaults and explanations instead");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kExitOk : kExitUsage;
  }
  if (example) {
    std::cout << example_file();
    return kExitOk;
  }
  if (config_file.empty() && std::filesystem::exists(kDefaultConfigFile)) config_file = kDefaultConfigFile;
  const auto loaded =
      load_settings(config_file, [](const std::string& name) { return std::getenv(name.c_str()); }, flags);
  for (const SettingInfo& info : all_settings())
    if (info.secret) base::take_from_environment(info.variable());
  if (!loaded) return finish(std::unexpected(loaded.error()));
  Settings settings = *loaded;
  for (const std::string& warning : settings.warnings) fmt::print(stderr, "warning: {}\n", warning);
  if (config->parsed()) {
    for (const SettingInfo& info : all_settings())
      fmt::print("{} = {}\n", info.key, shown_value(settings, info));
    return kExitOk;
  }

  // Of all commands but `up`, which makes the credentials.
  const auto stores_used = [&]() -> StoresUsed {
    if (api->parsed() || verify->parsed()) return {.mysql = true, .clickhouse = true};
    const bool stage_runs = settings.event_log_kind != "embedded";
    const bool watches = load->parsed() && load_options.watch;
    return {.mysql = (init_db->parsed() && init_options.url.empty()) || import->parsed() ||
                     backfill->parsed() || (stage_runs && relay->parsed()),
            .clickhouse = init_warehouse->parsed() || watches || (stage_runs && sink->parsed())};
  };
  // Before the process becomes another user: the data directory may be out of its reach then.
  if (!up->parsed() && !down->parsed())
    if (const auto used = use_credentials(settings, stores_used()); !used) return finish(used);
  // Any stage may execute jobs and verify, but none has to.
  if (std::ranges::any_of(stages, [](auto* stage) { return stage->parsed(); }))
    settings.has_store_credentials = use_credentials(settings).has_value();

  const bool is_server = up->parsed() || api->parsed() ||
                         std::ranges::any_of(stages, [](auto* stage) { return stage->parsed(); });
  if (is_server)
    if (auto became = become_unprivileged(settings, up->parsed()); !became) return finish(became);

  while (up->parsed() && up_options.detach) {
    const auto detached = detach(settings);
    if (!detached) return finish(std::unexpected(detached.error()));
    if (*detached == 0) break;  // the child goes on as any other `up`
    base::StopSignal stop_following;
    const adapters::system::SignalWatch signals(stop_following);
    const auto is_up = follow_start(settings, *detached, stop_following);
    if (!is_up) return finish(std::unexpected(is_up.error()));
    if (*is_up) return kExitOk;
  }

  base::StopSignal stop;
  const adapters::system::SignalWatch signals(stop);
  if (!up->parsed())
    if (auto set_up = adapters::system::set_up_logging({settings.log_level, settings.log_file}); !set_up)
      return finish(set_up);
  if (down->parsed()) return finish(run_down(settings));
  if (ps->parsed()) {
    const auto all_ready = run_ps(settings, ps_options);
    if (!all_ready) return finish(std::unexpected(all_ready.error()));
    return *all_ready ? kExitOk : kExitDifferences;
  }
  if (logs->parsed()) return finish(run_logs(settings, logs_options, stop));
  if (up->parsed()) return finish(run_up(settings, up_options, stop));
  if (api->parsed()) return finish(run_api(settings, stop));
  for (const CLI::App* stage : stages)
    if (stage->parsed()) return finish(run_stage(settings, stage->get_name(), stop));
  if (init_db->parsed()) return finish(run_init_db(settings, init_options));
  if (init_warehouse->parsed()) return finish(run_init_warehouse(settings));
  if (import->parsed()) return finish(run_import(settings, history_kind, history_file, stop));
  if (backfill->parsed()) return finish(run_backfill(settings, stop));
  if (verify->parsed()) {
    const auto span = parse_duration(patience);
    if (!span) return finish(base::with_context("--patience", span.error()));
    verify_options.patience = *span;
    const auto clean = run_verify(settings, verify_options, stop);
    if (!clean) return finish(std::unexpected(clean.error()));
    return *clean ? kExitOk : kExitDifferences;
  }
  if (dlq_list->parsed()) return finish(run_dlq_list(settings, letters_listed));
  if (dlq_show->parsed()) return finish(run_dlq_show(settings, letter_id));
  if (dlq_replay->parsed()) return finish(run_dlq_replay(settings, letters_replayed, stop));
  if (dlq_drop->parsed()) return finish(run_dlq_drop(settings, letters_dropped, stop));
  if (rebuild->parsed()) return finish(run_rebuild(settings, rebuild_options, stop));
  if (replay->parsed()) {
    if (has_partition->count() > 0) replay_options.partition = replay_partition;
    return finish(run_replay(settings, replay_options, stop));
  }
  if (jobs->parsed()) {
    if (cancels->count() > 0) jobs_options.cancel = job_id;
    if (follows->count() > 0) jobs_options.follow = job_id;
    return finish(run_jobs(settings, jobs_options, stop));
  }
  if (topics_show->parsed()) return finish(run_topics_show(settings, topic_name, log_json));
  if (topics_create->parsed()) return finish(run_topics_create(settings, topic_name, topic_partitions));
  if (topics_tail->parsed()) {
    if (of_partition->count() > 0) tail.partition = tail_partition;
    tail.json = log_json;
    return finish(run_topics_tail(settings, tail));
  }
  if (topics->parsed()) return finish(run_topics_list(settings, internal_topics, log_json));
  if (groups_show->parsed()) return finish(run_groups_show(settings, group_name, log_json));
  if (groups->parsed()) return finish(run_groups_list(settings, log_json));
  if (cluster->parsed()) return finish(run_cluster(settings, log_json));
  if (load->parsed()) {
    const auto span = parse_duration(load_duration);
    if (!span) return finish(base::with_context("--duration", span.error()));
    load_options.load.duration = *span;
    return finish(run_load_command(settings, load_options, stop));
  }
  return kExitUsage;
}

}  // namespace
}  // namespace millrace::app

int main(int argc, char** argv) {
  ::umask(077);  // what it writes is for its own user alone
  millrace::adapters::system::block_stop_signals();
  try {
    return millrace::app::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "millrace: {}\n", error.what());
    return millrace::app::exit_code(millrace::base::ErrorKind::kFatal);
  }
}
