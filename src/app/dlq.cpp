#include "app/dlq.h"

#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <vector>

#include <fmt/format.h>

#include "app/admin_client.h"
#include "base/json.h"
#include "base/text.h"
#include "base/url.h"
#include "letters/letter.h"

namespace millrace::app {
namespace {

constexpr std::string_view kRoute = "/admin/dead-letters";
constexpr std::uint32_t kLettersMost = 1'000;  // what the route gives at a time
constexpr std::size_t kReasonShownMax = 120;

base::Result<std::string> path_of(const std::string& id) {
  MILLRACE_TRY_ASSIGN(const auto parsed, letters::parse_letter_id(id));
  return fmt::format("{}/{}/{}/{}", kRoute, base::percent_encoded(parsed.topic), parsed.partition,
                     parsed.offset);
}

std::string list_path(const std::string& topic, bool all, std::uint32_t limit) {
  std::string path = fmt::format("{}?limit={}", kRoute, limit);
  if (!topic.empty()) path += "&topic=" + base::percent_encoded(topic);
  if (all) path += "&all=true";
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
  bool more = false;
};

base::Result<Listed> read_list(std::string_view body) {
  MILLRACE_TRY_ASSIGN(const auto document, parse_answer(body));
  Listed listed;
  const auto* letters = base::find_member(document, "letters");
  const auto* more = base::find_member(document, "more");
  if (letters == nullptr || !letters->is_array() || more == nullptr || !more->is_bool())
    return base::fatal("the API answered something that is no list of dead letters");
  for (const auto& entry : letters->get_array())
    if (entry.is_object()) listed.letters.push_back(entry.get_object());
  listed.more = more->get_bool();
  return listed;
}

void print_letter(const boost::json::object& letter) {
  const std::string state = text_of(letter, "state");
  std::cout << fmt::format(
      "{:<32} {:<24} {:<9} {}{}\n", text_of(letter, "id"), text_of(letter, "writtenAt"), state,
      text_of(letter, "missing") == "all" ? "" : "only the base row is missing: ",
      base::printable(state == "open" ? text_of(letter, "reason")
                                      : fmt::format("by {} at {} {}", text_of(letter, "by"),
                                                    text_of(letter, "at"), text_of(letter, "note")),
                      kReasonShownMax));
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

base::Result<void> replay_one(AdminClient& client, const std::string& id, const std::string& value) {
  MILLRACE_TRY_ASSIGN(const std::string path, path_of(id));
  MILLRACE_TRY_ASSIGN(const std::string body, client.post(path + "/replay", value));
  MILLRACE_TRY_ASSIGN(const auto answer, parse_answer(body));
  const auto event = base::int_member(answer, "eventId");
  std::cout << fmt::format("{} replayed{}\n", id,
                           event ? fmt::format(" as event {}", *event) : ": its base row is loaded");
  return {};
}

base::Result<void> replay_all(AdminClient& client, const std::string& topic) {
  MILLRACE_TRY_ASSIGN(const std::string body, client.get(list_path(topic, false, kLettersMost)));
  MILLRACE_TRY_ASSIGN(const Listed listed, read_list(body));
  std::optional<base::Error> first;
  std::size_t refused = 0;
  for (const auto& letter : listed.letters) {
    const std::string id = text_of(letter, "id");
    const auto done = replay_one(client, id, {});
    if (done) continue;
    if (done.error().kind == base::ErrorKind::kUnavailable) return done;
    std::cout << fmt::format("{} not replayed: {}\n", id, done.error().message);
    ++refused;
    if (!first) first = done.error();
  }
  if (listed.letters.empty()) std::cout << "there is no open dead letter\n";
  if (listed.more) std::cout << "there are more: run it again\n";
  if (first)
    return base::fail(first->kind, fmt::format("{} of {} letters were not replayed; the first one: {}",
                                               refused, listed.letters.size(), first->message));
  return {};
}

}  // namespace

base::Result<void> run_dlq_list(const Settings& settings, const DlqListCommand& command) {
  AdminClient client(settings);
  MILLRACE_TRY_ASSIGN(const std::string body,
                      client.get(list_path(command.topic, command.all, command.limit)));
  if (command.json) {
    std::cout << body << "\n";
    return {};
  }
  MILLRACE_TRY_ASSIGN(const Listed listed, read_list(body));
  for (const auto& letter : listed.letters) print_letter(letter);
  if (listed.letters.empty())
    std::cout << (command.all ? "there is no dead letter\n" : "there is no open dead letter\n");
  if (listed.more) std::cout << fmt::format("there are more than {}: ask with --limit\n", command.limit);
  return {};
}

base::Result<void> run_dlq_show(const Settings& settings, const std::string& id) {
  MILLRACE_TRY_ASSIGN(const std::string path, path_of(id));
  AdminClient client(settings);
  MILLRACE_TRY_ASSIGN(const std::string body, client.get(path));
  MILLRACE_TRY_ASSIGN(const auto letter, parse_answer(body));
  for (const char* name : {"id", "state", "by", "at", "note", "missing", "reason", "writtenAt", "key"})
    if (const std::string text = text_of(letter, name); !text.empty())
      std::cout << fmt::format("{:<12}{}\n", name, text);
  if (const auto event = base::int_member(letter, "eventId"))
    std::cout << fmt::format("{:<12}{}\n", "eventId", *event);
  if (const auto* headers = base::find_member(letter, "headers"); headers != nullptr && headers->is_array())
    for (const auto& header : headers->get_array())
      if (header.is_object())
        std::cout << fmt::format("{:<12}{}: {}\n", "header", text_of(header.get_object(), "name"),
                                 text_of(header.get_object(), "value"));
  // Last and alone on its lines: what `replay --value` takes after it was corrected.
  std::cout << "value:\n" << text_of(letter, "value") << "\n";
  return {};
}

base::Result<void> run_dlq_replay(const Settings& settings, const DlqReplayCommand& command) {
  AdminClient client(settings);
  if (command.all) {
    if (!command.id.empty() || !command.value_file.empty())
      return base::invalid("--all replays every open letter as it is: leave out the id and --value");
    return replay_all(client, command.topic);
  }
  if (command.id.empty())
    return base::invalid("name a dead letter (`millrace dlq list` shows them), or --all");
  std::string value;
  if (!command.value_file.empty()) {
    MILLRACE_TRY_ASSIGN(value, read_value(command.value_file));
  }
  return replay_one(client, command.id, value);
}

base::Result<void> run_dlq_drop(const Settings& settings, const std::string& id, const std::string& reason) {
  MILLRACE_TRY_ASSIGN(const std::string path, path_of(id));
  AdminClient client(settings);
  MILLRACE_TRY(client.remove(fmt::format("{}?reason={}", path, base::percent_encoded(reason))));
  std::cout << fmt::format("{} dropped\n", id);
  return {};
}

}  // namespace millrace::app
