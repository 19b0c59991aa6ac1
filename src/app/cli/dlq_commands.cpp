#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/admin_client.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/progress_line.h"
#include "base/json.h"
#include "base/numbers.h"
#include "base/text.h"
#include "base/text_table.h"
#include "base/url.h"
#include "dead_letters/dead_letter.h"

namespace millrace::app {
namespace {

constexpr std::string_view kRoute = "/admin/dead-letters";
constexpr std::uint32_t kDeadLettersMax = 1'000;  // what the route gives at a time
constexpr std::size_t kReasonShownMax = 120;

struct ListCommand {
  std::string topic;  // the source's; empty: all
  bool all = false;   // also those that were handled
  bool json = false;
  std::string after;  // what the list before this one named as its next part
  std::uint32_t limit = 100;
};

struct ReplayCommand {
  std::string id;  // empty: `all` of the open ones
  bool all = false;
  std::string topic;       // with `all`: of this source only
  std::string value_file;  // "-": standard input; empty: the letter's own value
};

struct DropCommand {
  std::string id;  // empty: `all` of the open ones
  bool all = false;
  std::string topic;  // with `all`: of this source only
  std::string reason;
};

base::Result<std::string> path_of(const std::string& id) {
  MILLRACE_TRY_ASSIGN(const auto parsed, dead_letters::parse_dead_letter_id(id));
  return fmt::format("{}/{}/{}/{}", kRoute, base::percent_encoded(parsed.topic), parsed.partition,
                     parsed.offset);
}

std::string list_path(const std::string& topic, bool all, std::uint32_t limit, const std::string& after) {
  std::string path = fmt::format("{}?limit={}", kRoute, limit);
  if (!topic.empty()) path += "&topic=" + base::percent_encoded(topic);
  if (all) path += "&all=true";
  if (!after.empty()) path += "&after=" + base::percent_encoded(after);
  return path;
}

base::Result<boost::json::object> parse_answer(std::string_view body) {
  MILLRACE_TRY_ASSIGN(boost::json::value document, base::parse_json(body));
  if (!document.is_object()) return base::fatal("the API answered something that is no JSON object");
  return std::move(document.get_object());
}

std::string text_of(const boost::json::object& object, std::string_view name) {
  const auto text = base::string_member(object, name);
  return text ? std::string(*text) : std::string();
}

struct Listed {
  std::vector<boost::json::object> letters;
  std::string next;  // empty: there is no further part
  std::uint64_t open = 0;
};

base::Result<Listed> read_list(std::string_view body) {
  MILLRACE_TRY_ASSIGN(const auto document, parse_answer(body));
  Listed listed;
  const auto* letters = base::find_member(document, "letters");
  const auto open = base::int_member(document, "open");
  if (letters == nullptr || !letters->is_array() || !open || *open < 0)
    return base::fatal("the API answered something that is no list of dead letters");
  for (const auto& entry : letters->get_array())
    if (entry.is_object()) listed.letters.push_back(entry.get_object());
  listed.next = text_of(document, "next");
  listed.open = static_cast<std::uint64_t>(*open);
  return listed;
}

/// A line for each letter.
std::string letters_table(const std::vector<boost::json::object>& letters) {
  base::TextTable table("llll");
  for (const boost::json::object& letter : letters) {
    const std::string state = text_of(letter, "state");
    const std::string why = state == "open" ? text_of(letter, "reason")
                                            : fmt::format("by {} at {} {}", text_of(letter, "by"),
                                                          text_of(letter, "at"), text_of(letter, "note"));
    table.add_row({text_of(letter, "id"), text_of(letter, "writtenAt"), state,
                   (text_of(letter, "missing") == "all" ? "" : "only the base row is missing: ") +
                       base::printable(why, kReasonShownMax)});
  }
  return table.text();
}

base::Result<std::string> read_value(const std::string& file) {
  std::stringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) return base::not_found(fmt::format("cannot read the value from {}", file));
    text << stream.rdbuf();
  }
  if (base::trim(text.str()).empty())
    return base::invalid(fmt::format("{} holds no value", file == "-" ? "standard input" : file));
  return text.str();
}

base::Result<std::string> replay_one(AdminClient& client, const std::string& id, const std::string& value) {
  MILLRACE_TRY_ASSIGN(const std::string path, path_of(id));
  MILLRACE_TRY_ASSIGN(const std::string body, client.post(path + "/replay", value));
  MILLRACE_TRY_ASSIGN(const auto answer, parse_answer(body));
  const auto event = base::int_member(answer, "eventId");
  return fmt::format("{} replayed{}", id,
                     event ? fmt::format(" as event {}", *event) : ": its base row is loaded");
}

base::Result<std::string> drop_one(AdminClient& client, const std::string& id, const std::string& reason) {
  MILLRACE_TRY_ASSIGN(const std::string path, path_of(id));
  MILLRACE_TRY(client.remove(fmt::format("{}?reason={}", path, base::percent_encoded(reason))));
  return fmt::format("{} dropped", id);
}

/// Does `work` to every open letter, part by part of the list, each letter once. `done`: "replayed".
template <class Work>
base::Result<void> for_all(AdminClient& client, const std::string& topic, std::string_view done,
                           const base::StopSignal& stop, Work work) {
  ProgressLine progress;
  const auto started = std::chrono::steady_clock::now();
  std::optional<base::Error> first;
  std::uint64_t total = 0;
  std::uint64_t tried = 0;
  std::uint64_t failed = 0;
  Listed listed;
  do {
    MILLRACE_TRY_ASSIGN(const std::string body,
                        client.get(list_path(topic, false, kDeadLettersMax, listed.next)));
    MILLRACE_TRY_ASSIGN(listed, read_list(body));
    if (total == 0) total = listed.open;
    for (const auto& letter : listed.letters) {
      if (stop.requested()) {
        progress.end();
        return base::unavailable(fmt::format("stopped after {} of {} dead letters: run it again to go on",
                                             base::grouped(tried), base::grouped(total)));
      }
      const std::string id = text_of(letter, "id");
      const auto outcome = work(id);
      ++tried;
      if (!outcome && outcome.error().kind == base::ErrorKind::kUnavailable) {
        progress.end();
        return std::unexpected(outcome.error());
      }
      if (!outcome) {
        progress.end();
        std::cout << fmt::format("{} not {}: {}\n", id, done, outcome.error().message);
        ++failed;
        if (!first) first = outcome.error();
      }
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
      progress.show(tried, std::max(total, tried), spent);
    }
  } while (!listed.next.empty());
  progress.end();
  if (tried == 0) std::cout << "there is no open dead letter\n";
  if (tried > failed)
    std::cout << fmt::format("{} dead letter{} {}\n", base::grouped(tried - failed),
                             tried - failed == 1 ? "" : "s", done);
  if (first)
    return base::fail(first->kind,
                      fmt::format("{} of {} letters were not {}; the first one: {}", base::grouped(failed),
                                  base::grouped(tried), done, first->message));
  return {};
}

base::Result<void> run_list(const Settings& settings, const ListCommand& command) {
  AdminClient client(settings);
  MILLRACE_TRY_ASSIGN(const std::string body,
                      client.get(list_path(command.topic, command.all, command.limit, command.after)));
  if (command.json) {
    std::cout << body << "\n";
    return {};
  }
  MILLRACE_TRY_ASSIGN(const Listed listed, read_list(body));
  std::cout << letters_table(listed.letters);
  if (listed.letters.empty())
    std::cout << (command.all ? "there is no dead letter\n" : "there is no open dead letter\n");
  if (!listed.next.empty())
    std::cout << fmt::format("{} are open in all; the next part: --after '{}'\n", base::grouped(listed.open),
                             listed.next);
  return {};
}

base::Result<void> run_show(const Settings& settings, const std::string& id) {
  MILLRACE_TRY_ASSIGN(const std::string path, path_of(id));
  AdminClient client(settings);
  MILLRACE_TRY_ASSIGN(const std::string body, client.get(path));
  MILLRACE_TRY_ASSIGN(const auto letter, parse_answer(body));
  base::TextTable table("ll");
  for (const char* name : {"id", "state", "by", "at", "note", "missing", "reason", "writtenAt", "key"})
    if (const std::string text = text_of(letter, name); !text.empty()) table.add_row({name, text});
  if (const auto event = base::int_member(letter, "eventId"))
    table.add_row({"eventId", std::to_string(*event)});
  if (const auto* headers = base::find_member(letter, "headers"); headers != nullptr && headers->is_array())
    for (const auto& header : headers->get_array())
      if (header.is_object())
        table.add_row({"header", fmt::format("{}: {}", text_of(header.get_object(), "name"),
                                             text_of(header.get_object(), "value"))});
  std::cout << table.text();
  // Last and alone on its lines: what `replay --value` takes after it was corrected.
  std::cout << "value:\n" << text_of(letter, "value") << "\n";
  return {};
}

/// With `all` it shows its progress on standard error, and ends early when `stop` is requested: what was done
/// is done. Errors: with `all` that of the first letter that could not be replayed, after the others were
/// tried.
base::Result<void> run_replay(const Settings& settings, const ReplayCommand& command,
                              const base::StopSignal& stop) {
  AdminClient client(settings);
  if (command.all) {
    if (!command.id.empty() || !command.value_file.empty())
      return base::invalid("--all replays every open letter as it is: leave out the id and --value");
    return for_all(client, command.topic, "replayed", stop,
                   [&](const std::string& id) { return replay_one(client, id, {}); });
  }
  if (command.id.empty())
    return base::invalid("name a dead letter (`millrace dlq list` shows them), or --all");
  std::string value;
  if (!command.value_file.empty()) {
    MILLRACE_TRY_ASSIGN(value, read_value(command.value_file));
  }
  MILLRACE_TRY_ASSIGN(const std::string done, replay_one(client, command.id, value));
  std::cout << done << "\n";
  return {};
}

/// As run_replay.
base::Result<void> run_drop(const Settings& settings, const DropCommand& command,
                            const base::StopSignal& stop) {
  AdminClient client(settings);
  if (command.all) {
    if (!command.id.empty()) return base::invalid("--all drops every open letter: leave out the id");
    return for_all(client, command.topic, "dropped", stop,
                   [&](const std::string& id) { return drop_one(client, id, command.reason); });
  }
  if (command.id.empty())
    return base::invalid("name a dead letter (`millrace dlq list` shows them), or --all");
  MILLRACE_TRY_ASSIGN(const std::string done, drop_one(client, command.id, command.reason));
  std::cout << done << "\n";
  return {};
}

void add_list(CLI::App& dlq, Commands& commands) {
  const auto options = std::make_shared<ListCommand>();
  CLI::App& list =
      commands.add(dlq, "list", "Show those that nobody has replayed or dropped",
                   [options](const SettingSources& sources) {
                     return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
                       return finish(run_list(settings, *options));
                     });
                   });
  list.add_option("--topic", options->topic, "Only those of this topic: order.events or orders_analytics");
  list.add_flag("--all", options->all, "Also those that were replayed or dropped");
  list.add_option("--after", options->after, "The next part, as the list before names it");
  list.add_option("--limit", options->limit, "At most so many")->check(CLI::Range(1, 1'000));
  list.add_flag("--json", options->json, "The list as JSON");
}

void add_show(CLI::App& dlq, Commands& commands) {
  const auto id = std::make_shared<std::string>();
  CLI::App& show = commands.add(
      dlq, "show", "Show one with its headers and its value", [id](const SettingSources& sources) {
        return run_tool(sources, kNoStores, [&](const Settings& settings, base::StopSignal&) {
          return finish(run_show(settings, *id));
        });
      });
  show.add_option("id", *id, "As `dlq list` shows it: order.events/2/1234")->required();
}

void add_replay(CLI::App& dlq, Commands& commands) {
  const auto options = std::make_shared<ReplayCommand>();
  CLI::App& replay = commands.add(dlq, "replay", "Send one again, exactly once however often it is asked for",
                                  [options](const SettingSources& sources) {
                                    return run_tool(sources, kNoStores,
                                                    [&](const Settings& settings, base::StopSignal& stop) {
                                                      return finish(run_replay(settings, *options, stop));
                                                    });
                                  });
  replay.add_option("id", options->id, "As `dlq list` shows it: order.events/2/1234");
  replay.add_flag("--all", options->all, "All that are open");
  replay.add_option("--topic", options->topic, "With --all: only those of this topic");
  replay.add_option("--value", options->value_file, "A file with the corrected event (-: standard input)")
      ->type_name("FILE");
}

void add_drop(CLI::App& dlq, Commands& commands) {
  const auto options = std::make_shared<DropCommand>();
  CLI::App& drop = commands.add(dlq, "drop", "Note that one (or all) will not be replayed, and why",
                                [options](const SettingSources& sources) {
                                  return run_tool(sources, kNoStores,
                                                  [&](const Settings& settings, base::StopSignal& stop) {
                                                    return finish(run_drop(settings, *options, stop));
                                                  });
                                });
  drop.add_option("id", options->id, "As `dlq list` shows it: order.events/2/1234");
  drop.add_flag("--all", options->all, "All that are open");
  drop.add_option("--topic", options->topic, "With --all: only those of this topic");
  drop.add_option("--reason", options->reason, "Why")->required();
}

}  // namespace

void add_dlq_commands(CLI::App& app, Commands& commands) {
  CLI::App& dlq = commands.add_group(app, "dlq", "Dead letters: what could not be transformed or loaded");
  dlq.require_subcommand(1);
  add_list(dlq, commands);
  add_show(dlq, commands);
  add_replay(dlq, commands);
  add_drop(dlq, commands);
}

}  // namespace millrace::app
