#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "app/cli/admin_client.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/progress_line.h"
#include "base/json.h"
#include "base/text.h"
#include "base/text_table.h"

namespace millrace::app {
namespace {

constexpr std::string_view kRoute = "/admin/jobs";
constexpr std::chrono::milliseconds kFollowInterval{500};
constexpr std::chrono::milliseconds kAwayMax{60'000};  // a restart of `up` in between is waited out

struct RebuildCommand {
  bool wait = true;  // follow the job to its end
};

struct ReplayCommand {
  std::string topic = "orders_analytics";
  std::string from;
  std::optional<std::int32_t> partition;
  bool wait = true;
};

struct JobsCommand {
  bool json = false;
  std::optional<std::uint64_t> cancel;  // this job, instead of listing
  std::optional<std::uint64_t> follow;  // likewise
};

struct ShownJob {
  std::int64_t id = 0;
  std::string kind;
  std::string state;
  std::string progress;
  std::string error;
  std::string created_at;
  std::string parameters;
};

base::Result<ShownJob> shown(const boost::json::value& value) {
  if (!value.is_object()) return base::fatal("the API answered something that is no job");
  const auto& object = value.get_object();
  ShownJob job;
  MILLRACE_TRY_ASSIGN(job.id, base::int_member(object, "id"));
  const auto text = [&](std::string_view name) -> std::string {
    const auto member = base::string_member(object, name);
    return member ? base::printable(*member, 2'000) : std::string();
  };
  job.kind = text("kind");
  job.state = text("state");
  job.progress = text("progress");
  job.error = text("error");
  job.created_at = text("createdAt");
  if (const auto* parameters = base::find_member(object, "parameters"))
    job.parameters = boost::json::serialize(*parameters);
  return job;
}

base::Result<ShownJob> read_job(std::string_view body) {
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(body));
  return shown(document);
}

base::Result<void> follow(AdminClient& client, std::int64_t id, const base::StopSignal& stop) {
  ProgressLine line;
  auto away_until = base::Deadline::in(kAwayMax);
  for (;;) {
    const auto body = client.get(fmt::format("{}/{}", kRoute, id));
    if (!body && (body.error().kind != base::ErrorKind::kUnavailable || away_until.passed())) {
      line.end();
      return std::unexpected(body.error());
    }
    if (body) {
      away_until = base::Deadline::in(kAwayMax);
      MILLRACE_TRY_ASSIGN(const ShownJob job, read_job(*body));
      line.show(job.progress);
      if (job.state != "running") line.end();
      if (job.state == "done") {
        fmt::print("job {} ({}) is done: {}\n", job.id, job.kind, job.progress);
        return {};
      }
      if (job.state == "cancelled")
        return base::conflict(fmt::format("job {} ({}) was cancelled", job.id, job.kind));
      if (job.state != "running")
        return base::fatal(fmt::format("job {} ({}) failed: {}", job.id, job.kind, job.error));
    }
    if (stop.wait_for(kFollowInterval)) {
      line.end();
      return base::unavailable(fmt::format(
          "job {0} continues without being watched: `millrace jobs` shows it, `millrace jobs --follow "
          "{0}` follows it, `millrace jobs --cancel {0}` ends it",
          id));
    }
  }
}

base::Result<void> submit(const Settings& settings, const std::string& request, bool wait,
                          const base::StopSignal& stop) {
  AdminClient client(settings);
  MILLRACE_TRY_ASSIGN(const std::string body, client.post(kRoute, request));
  MILLRACE_TRY_ASSIGN(const ShownJob job, read_job(body));
  if (!wait) {
    fmt::print("job {} ({}) began; `millrace jobs` shows how far it is\n", job.id, job.kind);
    return {};
  }
  return follow(client, job.id, stop);
}

/// Errors: as AdminClient; kConflict also when the job was cancelled, kFatal when it failed, kUnavailable
/// when `stop` came first (the job goes on).
base::Result<void> run_rebuild(const Settings& settings, const RebuildCommand& command,
                               const base::StopSignal& stop) {
  return submit(settings, R"({"kind":"rebuild"})", command.wait, stop);
}

/// Errors: as run_rebuild.
base::Result<void> run_replay(const Settings& settings, const ReplayCommand& command,
                              const base::StopSignal& stop) {
  std::string request;
  base::JsonWriter out(request);
  out.begin_object();
  out.key("kind").string("replay");
  out.key("topic").string(command.topic);
  out.key("from").string(command.from);
  if (command.partition) out.key("partition").number(std::int64_t{*command.partition});
  out.end_object();
  return submit(settings, request, command.wait, stop);
}

base::Result<void> run_jobs(const Settings& settings, const JobsCommand& command,
                            const base::StopSignal& stop) {
  AdminClient client(settings);
  if (command.cancel) {
    MILLRACE_TRY(client.post(fmt::format("{}/{}/cancel", kRoute, *command.cancel), "{}"));
    fmt::print("job {} was asked to end\n", *command.cancel);
    return {};
  }
  if (command.follow) return follow(client, static_cast<std::int64_t>(*command.follow), stop);
  MILLRACE_TRY_ASSIGN(const std::string body, client.get(kRoute));
  if (command.json) {
    std::cout << body << "\n";
    return {};
  }
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(body));
  const auto* jobs = document.is_object() ? base::find_member(document.get_object(), "jobs") : nullptr;
  if (jobs == nullptr || !jobs->is_array()) return base::fatal("the API answered something that is no list");
  if (jobs->get_array().empty()) std::cout << "no job was ever asked for\n";
  base::TextTable table("rlllll");
  for (const auto& entry : jobs->get_array()) {
    MILLRACE_TRY_ASSIGN(const ShownJob job, shown(entry));
    table.add_row({std::to_string(job.id), job.created_at, job.kind, job.state,
                   job.error.empty() ? job.progress : job.error,
                   job.parameters == "{}" ? "" : job.parameters});
  }
  std::cout << table.text();
  return {};
}

}  // namespace

void add_job_commands(CLI::App& app, Commands& commands) {
  const auto rebuild_options = std::make_shared<RebuildCommand>();
  CLI::App& rebuild = commands.add(
      app, "rebuild", "Rebuild the warehouse's tables from the order store while everything keeps running",
      [rebuild_options](const SettingSources& sources) {
        return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal& stop) {
          return finish(run_rebuild(settings, *rebuild_options, stop));
        });
      });
  rebuild.add_flag("!--no-wait", rebuild_options->wait, "Begin it and return");

  const auto replay_options = std::make_shared<ReplayCommand>();
  CLI::App& replay = commands.add(
      app, "replay", "Read a topic again and write its rows into the base table again",
      [replay_options](const SettingSources& sources) {
        return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal& stop) {
          return finish(run_replay(settings, *replay_options, stop));
        });
      });
  replay.add_option("--topic", replay_options->topic, "orders_analytics");
  replay.add_option("--from", replay_options->from, "An offset, or a time such as 2026-01-31T12:00:00Z")
      ->required();
  replay.add_option("--partition", replay_options->partition, "This one alone");
  replay.add_flag("!--no-wait", replay_options->wait, "Begin it and return");

  const auto jobs_options = std::make_shared<JobsCommand>();
  CLI::App& jobs = commands.add(app, "jobs", "Show rebuilds and replays, the latest first",
                                [jobs_options](const SettingSources& sources) {
                                  return run_tool(sources, kNoStores,
                                                  [&](const Settings& settings, base::StopSignal& stop) {
                                                    return finish(run_jobs(settings, *jobs_options, stop));
                                                  });
                                });
  jobs.add_flag("--json", jobs_options->json, "The list as JSON");
  CLI::Option* const cancels = jobs.add_option("--cancel", jobs_options->cancel, "Ask this job to end");
  jobs.add_option("--follow", jobs_options->follow, "Follow this job to its end")->excludes(cancels);
}

}  // namespace millrace::app
