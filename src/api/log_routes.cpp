#include "api/log_routes.h"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "api/log_shapes.h"
#include "api/problems.h"
#include "api/requests.h"
#include "base/json.h"
#include "base/text.h"

namespace millrace::api {
namespace {

constexpr std::chrono::milliseconds kTimeout{3'000};
constexpr std::uint32_t kLastDefault = 20;

struct Answer {
  std::string body;
  int status = 200;
};

base::Result<std::int32_t> parse_partition(std::string_view text) {
  const auto partition = base::parse_int<std::int32_t>(text);
  if (!partition || *partition < 0)
    return base::invalid("'partition' must be a whole number from 0, the number of a partition");
  return *partition;
}

base::Result<Answer> messages(inspect::LogView& log, const ports::HttpRequest& request,
                              const std::string& topic, base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto count, parse_count(request, "last", kLastDefault,
                                                    static_cast<std::uint32_t>(inspect::kMessagesMax)));
  MILLRACE_TRY_ASSIGN(const bool as_text, parse_flag(request, "text"));
  std::optional<std::int32_t> partition;
  if (const auto text = request.parameter("partition"); text && !text->empty()) {
    MILLRACE_TRY_ASSIGN(partition, parse_partition(*text));
  }
  MILLRACE_TRY_ASSIGN(const auto found, log.messages(topic, partition, count, deadline));
  return Answer{messages_json(topic, found, as_text)};
}

base::Result<Answer> create(inspect::LogView& log, const ports::HttpRequest& request,
                            base::Deadline deadline) {
  MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(request.body));
  if (!document.is_object()) return base::invalid(R"(send {"topic": "my.topic", "partitions": 3})");
  MILLRACE_TRY_ASSIGN(const auto topic, base::string_member(document.get_object(), "topic"));
  MILLRACE_TRY_ASSIGN(const auto partitions, base::int_member(document.get_object(), "partitions"));
  if (partitions < 1 || partitions > ports::kTopicPartitionsMax)
    return base::invalid(
        fmt::format("'partitions' must be a whole number from 1 to {}", ports::kTopicPartitionsMax));
  MILLRACE_TRY_ASSIGN(const bool created,
                      log.create_topic(std::string(topic), static_cast<std::int32_t>(partitions), deadline));
  Answer answer;
  base::JsonWriter json(answer.body);
  json.begin_object();
  json.key("topic").string(topic);
  json.key("partitions").number(partitions);
  json.key("created").boolean(created);
  json.end_object();
  answer.status = created ? 201 : 200;
  return answer;
}

base::Result<Answer> answer_of(Route route, inspect::LogView& log, const ports::HttpRequest& request,
                               std::span<const std::string> arguments, base::Deadline deadline) {
  switch (route) {
    case Route::kLogCluster: {
      MILLRACE_TRY_ASSIGN(const auto found, log.cluster(deadline));
      return Answer{cluster_json(*found, log.kind())};
    }
    case Route::kLogTopics: {
      MILLRACE_TRY_ASSIGN(const auto found, log.topics(deadline));
      return Answer{topics_json(*found)};
    }
    case Route::kLogTopic: {
      MILLRACE_TRY_ASSIGN(const auto found, log.topic(arguments[0], deadline));
      return Answer{topic_json(*found)};
    }
    case Route::kLogGroups: {
      MILLRACE_TRY_ASSIGN(const auto found, log.groups(deadline));
      return Answer{groups_json(*found, [&log](const std::string& group) { return log.trend(group); })};
    }
    case Route::kLogGroup: {
      MILLRACE_TRY_ASSIGN(const auto found, log.group(arguments[0], deadline));
      const inspect::Trend trend = log.trend(arguments[0]);
      return Answer{group_json(found, &trend)};
    }
    case Route::kLogMessages:
      return messages(log, request, arguments[0], deadline);
    case Route::kCreateTopic:
      return create(log, request, deadline);
    default:
      return base::fatal("not a route of the event log");
  }
}

}  // namespace

bool needs_admin(Route route) {
  return route == Route::kLogMessages || route == Route::kCreateTopic;
}

ports::HttpResponse log_response(Route route, inspect::LogView& log, const ports::HttpRequest& request,
                                 std::span<const std::string> arguments, std::string_view path,
                                 std::string_view request_id, base::Deadline deadline) {
  if (deadline.left() > kTimeout) deadline = base::Deadline::in(kTimeout);
  auto answer = answer_of(route, log, request, arguments, deadline);
  if (answer) {
    ports::HttpResponse response;
    response.status = answer->status;
    response.body = std::move(answer->body);
    return response;
  }
  const base::Error& error = answer.error();
  // A page that looks every second must not fill our log; the stages say what an outage means.
  if (error.kind == base::ErrorKind::kUnavailable) {
    spdlog::debug("{} {}: {}", request.method, path, error.message);
    ports::HttpResponse response = ports::problem_response(
        503, "the event log does not answer: no broker, or no leader, is there; try again in a moment", path);
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  log_what_is_not_told(error, request.method, path, request_id);
  return problem_of(error, path);
}

}  // namespace millrace::api
