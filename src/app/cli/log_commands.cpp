#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "api/log_shapes.h"
#include "app/cli/admin_client.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/log_tables.h"
#include "app/wiring/event_log.h"
#include "base/json.h"
#include "base/text.h"
#include "base/url.h"
#include "inspect/messages.h"

namespace millrace::app {
namespace {

constexpr std::chrono::milliseconds kTimeout{6'000};
constexpr std::string_view kRoute = "/api/kafka";

struct TailCommand {
  std::string topic;
  std::uint32_t last = 10;
  std::optional<std::int32_t> partition;
};

/// Answers about the log, as the JSON of docs/specs/event-log-view.md.
class LogSource {
 public:
  virtual ~LogSource() = default;
  [[nodiscard]] virtual base::Result<std::string> cluster() = 0;
  [[nodiscard]] virtual base::Result<std::string> topics() = 0;
  [[nodiscard]] virtual base::Result<std::string> topic(const std::string& name) = 0;
  [[nodiscard]] virtual base::Result<std::string> groups() = 0;
  [[nodiscard]] virtual base::Result<std::string> group(const std::string& name) = 0;
  /// `as_text`: also values that are JSON.
  [[nodiscard]] virtual base::Result<std::string> messages(const TailCommand& command, bool as_text) = 0;
  /// True if it was not there.
  [[nodiscard]] virtual base::Result<bool> create(const std::string& topic, std::int32_t partitions) = 0;
};

/// At the log itself.
class DirectSource final : public LogSource {
 public:
  DirectSource(const Settings& settings, InspectedLog opened)
      : kind_(settings.event_log_kind), brokers_(settings.kafka_brokers), opened_(std::move(opened)) {}

  base::Result<std::string> cluster() override {
    MILLRACE_TRY_ASSIGN(const auto found, told(opened_.inspector->cluster(soon())));
    return api::cluster_json(found, kind_);
  }
  base::Result<std::string> topics() override {
    MILLRACE_TRY_ASSIGN(const auto found, told(opened_.inspector->topics(soon())));
    return api::topics_json(found);
  }
  base::Result<std::string> topic(const std::string& name) override {
    MILLRACE_TRY_ASSIGN(const auto found, told(opened_.inspector->topic(name, soon())));
    return api::topic_json(found);
  }
  base::Result<std::string> groups() override {
    MILLRACE_TRY_ASSIGN(const auto found, told(opened_.inspector->groups(soon())));
    return api::groups_json(found, {});
  }
  base::Result<std::string> group(const std::string& name) override {
    MILLRACE_TRY_ASSIGN(const auto found, told(opened_.inspector->group(name, soon())));
    return api::group_json(found, nullptr);
  }
  base::Result<std::string> messages(const TailCommand& command, bool as_text) override {
    MILLRACE_TRY_ASSIGN(
        const auto found,
        told(inspect::last_messages(*opened_.log, command.topic, command.partition, command.last, soon())));
    return api::messages_json(command.topic, found, as_text);
  }
  base::Result<bool> create(const std::string& topic, std::int32_t partitions) override {
    const auto found = told(opened_.log->describe_topic(topic, soon()));
    if (!found && found.error().kind != base::ErrorKind::kNotFound) return std::unexpected(found.error());
    MILLRACE_TRY(told(opened_.log->ensure_topic(topic, partitions, soon())));
    return !found.has_value();
  }

 private:
  static base::Deadline soon() { return base::Deadline::in(kTimeout); }

  template <class T>
  base::Result<T> told(base::Result<T> result) const {
    if (!result && result.error().kind == base::ErrorKind::kUnavailable && kind_ == "kafka")
      return base::unavailable(
          fmt::format("Kafka at {} (kafka.brokers): {}", brokers_, result.error().message),
          result.error().vendor_code);
    return result;
  }

  const std::string kind_;
  const std::string brokers_;
  InspectedLog opened_;
};

/// At the program that has the log open.
class ApiSource final : public LogSource {
 public:
  explicit ApiSource(const Settings& settings) : client_(settings) {}

  base::Result<std::string> cluster() override { return client_.get(fmt::format("{}/cluster", kRoute)); }
  base::Result<std::string> topics() override { return client_.get(fmt::format("{}/topics", kRoute)); }
  base::Result<std::string> topic(const std::string& name) override {
    return client_.get(fmt::format("{}/topics/{}", kRoute, base::percent_encoded(name)));
  }
  base::Result<std::string> groups() override { return client_.get(fmt::format("{}/groups", kRoute)); }
  base::Result<std::string> group(const std::string& name) override {
    return client_.get(fmt::format("{}/groups/{}", kRoute, base::percent_encoded(name)));
  }
  base::Result<std::string> messages(const TailCommand& command, bool as_text) override {
    std::string path = fmt::format("{}/topics/{}/messages?last={}", kRoute,
                                   base::percent_encoded(command.topic), command.last);
    if (command.partition) path += fmt::format("&partition={}", *command.partition);
    if (as_text) path += "&text=true";
    return client_.get(path);
  }
  base::Result<bool> create(const std::string& topic, std::int32_t partitions) override {
    std::string body;
    base::JsonWriter json(body);
    json.begin_object();
    json.key("topic").string(topic);
    json.key("partitions").number(std::int64_t{partitions});
    json.end_object();
    MILLRACE_TRY_ASSIGN(const std::string answer, client_.post(fmt::format("{}/topics", kRoute), body));
    return answer.find("\"created\":true") != std::string::npos;
  }

 private:
  AdminClient client_;
};

base::Result<std::unique_ptr<LogSource>> open_directly(const Settings& settings) {
  MILLRACE_TRY_ASSIGN(InspectedLog opened, open_inspected_log(settings));
  return std::make_unique<DirectSource>(settings, std::move(opened));
}

/// Prints what `ask(source)` gives: itself, or the table that `show` makes of it.
template <class Ask, class Show>
base::Result<void> print_answer(const Settings& settings, bool json, Ask ask, Show show) {
  const auto print = [&](const base::Result<std::string>& answer) -> base::Result<void> {
    if (!answer) return std::unexpected(answer.error());
    if (json) {
      std::cout << *answer << "\n";
      return {};
    }
    MILLRACE_TRY_ASSIGN(const std::string table, show(*answer));
    std::cout << table;
    return {};
  };
  if (settings.event_log_kind == "kafka") {
    MILLRACE_TRY_ASSIGN(const auto brokers, open_directly(settings));
    return print(ask(*brokers));
  }
  ApiSource running(settings);
  const base::Result<std::string> answer = ask(running);
  if (answer || answer.error().kind != base::ErrorKind::kUnavailable) return print(answer);
  // Nothing made it yet, or it belongs to a program whose API is elsewhere: then what the API said counts.
  if (!std::filesystem::exists(event_log_directory(settings) / "CURRENT")) return print(answer);
  const auto closed = open_directly(settings);
  if (!closed && closed.error().kind == base::ErrorKind::kConflict)
    return base::fail(closed.error().kind,
                      fmt::format("{}; and {}", answer.error().message, closed.error().message));
  if (!closed) return std::unexpected(closed.error());
  return print(ask(**closed));
}

// Errors of all: kUnavailable (nothing answers, with the address), kNotFound (no such topic or group),
// kConflict (the directory of the embedded log is in use, and no API answers).

base::Result<void> run_cluster(const Settings& settings, bool json) {
  return print_answer(settings, json, [](LogSource& log) { return log.cluster(); }, &cluster_table);
}

/// `internal`: also those that are the log's own.
base::Result<void> run_topics_list(const Settings& settings, bool internal, bool json) {
  return print_answer(
      settings, json, [](LogSource& log) { return log.topics(); },
      [&](const std::string& answer) { return topics_table(answer, internal); });
}

base::Result<void> run_topics_show(const Settings& settings, const std::string& topic, bool json) {
  return print_answer(settings, json, [&](LogSource& log) { return log.topic(topic); }, &topic_table);
}

/// There already with as many partitions: nothing to do. Errors: kInvalid, kConflict (with another number).
base::Result<void> run_topics_create(const Settings& settings, const std::string& topic,
                                     std::int32_t partitions) {
  MILLRACE_TRY(ports::check_topic(topic, partitions));
  return print_answer(
      settings, true,
      [&](LogSource& log) -> base::Result<std::string> {
        MILLRACE_TRY_ASSIGN(const bool is_new, log.create(topic, partitions));
        return fmt::format("topic {} {}, with {} partition{}", topic,
                           is_new ? "was created" : "already exists", partitions, partitions == 1 ? "" : "s");
      },
      &topic_table);
}

base::Result<void> run_topics_tail(const Settings& settings, const TailCommand& command, bool json) {
  return print_answer(
      settings, json, [&](LogSource& log) { return log.messages(command, !json); }, &messages_table);
}

base::Result<void> run_groups_list(const Settings& settings, bool json) {
  return print_answer(settings, json, [](LogSource& log) { return log.groups(); }, &groups_table);
}

/// `group` empty: all, one after the other.
base::Result<void> run_groups_show(const Settings& settings, const std::string& group, bool json) {
  return print_answer(
      settings, json, [&](LogSource& log) { return group.empty() ? log.groups() : log.group(group); },
      &group_table);
}

void add_topics_commands(CLI::App& app, Commands& commands) {
  struct Options {
    bool json = false;
    bool internal = false;
    std::string topic;
    std::int32_t partitions = 0;
    TailCommand tail;
  };
  const auto options = std::make_shared<Options>();
  const auto run = [options](auto work) {
    return [options, work](const SettingSources& sources) {
      return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
        return finish(work(settings, *options));
      });
    };
  };
  const auto list = run([](const Settings& settings, const Options& asked) {
    return run_topics_list(settings, asked.internal, asked.json);
  });
  CLI::App& topics =
      commands.add(app, "topics", "The event log's topics: list (alone), show, create, tail", list);
  topics.require_subcommand(0, 1);
  topics.add_flag("--json", options->json, "The answer as JSON");
  topics.add_flag("--internal", options->internal, "Also topics that are the log's own");
  commands.add(topics, "list", "All of them, with partitions and messages", list);
  CLI::App& show = commands.add(topics, "show", "One with its partitions, leaders, replicas and settings",
                                run([](const Settings& settings, const Options& asked) {
                                  return run_topics_show(settings, asked.topic, asked.json);
                                }));
  show.add_option("topic", options->topic, "Its name")->required();
  CLI::App& create = commands.add(topics, "create", "Make one, if it is not there",
                                  run([](const Settings& settings, const Options& asked) {
                                    return run_topics_create(settings, asked.topic, asked.partitions);
                                  }));
  create.add_option("topic", options->topic, "Its name")->required();
  create.add_option("--partitions", options->partitions, "How many; adding some later moves keys")
      ->required();
  CLI::App& tail = commands.add(topics, "tail", "The last messages of one, the latest last",
                                run([](const Settings& settings, const Options& asked) {
                                  return run_topics_tail(settings, asked.tail, asked.json);
                                }));
  tail.add_option("topic", options->tail.topic, "Its name")->required();
  tail.add_option("--last", options->tail.last, "How many")->check(CLI::Range(1, 200));
  tail.add_option("--partition", options->tail.partition, "Of this one alone");
}

void add_groups_commands(CLI::App& app, Commands& commands) {
  struct Options {
    bool json = false;
    std::string group;
  };
  const auto options = std::make_shared<Options>();
  const auto list = [options](const SettingSources& sources) {
    return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
      return finish(run_groups_list(settings, options->json));
    });
  };
  CLI::App& groups = commands.add(app, "groups", "Consumer groups and their lag: list (alone), show", list);
  groups.require_subcommand(0, 1);
  groups.add_flag("--json", options->json, "The answer as JSON");
  commands.add(groups, "list", "All of them, with state, members and lag", list);
  CLI::App& show = commands.add(
      groups, "show", "Members, and the lag of every partition", [options](const SettingSources& sources) {
        return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
          return finish(run_groups_show(settings, options->group, options->json));
        });
      });
  show.add_option("group", options->group, "Its name (default: all, one after the other)");
}

void add_cluster_command(CLI::App& app, Commands& commands) {
  const auto json = std::make_shared<bool>(false);
  CLI::App& cluster =
      commands.add(app, "cluster", "Who keeps the event log: brokers, and which are up",
                   [json](const SettingSources& sources) {
                     return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
                       return finish(run_cluster(settings, *json));
                     });
                   });
  cluster.add_flag("--json", *json, "The answer as JSON");
}

}  // namespace

void add_log_commands(CLI::App& app, Commands& commands) {
  add_topics_commands(app, commands);
  add_groups_commands(app, commands);
  add_cluster_command(app, commands);
}

}  // namespace millrace::app
