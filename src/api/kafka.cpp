// What the event log holds, whichever kind it is. Shapes: docs/specs/event-log-view.md.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "api/handlers.h"
#include "api/log_shapes.h"
#include "api/requests.h"
#include "base/json.h"
#include "base/text.h"

namespace millrace::api {
namespace {

constexpr std::chrono::milliseconds kTimeout{3'000};
constexpr std::uint32_t kLastDefault = 20;

/// Answers what `work(log, deadline)` gives. An event log that is unavailable is no error of the request, and
/// a page that looks every second must not fill our log with it: the stages say what an outage means.
template <class Work>
Answer with_log(const Context& context, const Call& call, base::Deadline deadline, Work work) {
  if (context.parts.log == nullptr)
    return ports::problem_response(
        503, "the embedded event log is shown where the pipeline runs: ask `millrace up`", call.path);
  if (deadline.left() > kTimeout) deadline = base::Deadline::in(kTimeout);
  Answer answer = work(*context.parts.log, deadline);
  if (answer || answer.error().kind != base::ErrorKind::kUnavailable) return answer;
  spdlog::debug("{} {}: {}", call.request.method, call.path, answer.error().message);
  ports::HttpResponse response = ports::problem_response(
      503, "the event log does not answer: no broker, or no leader, is there; try again in a moment",
      call.path);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

base::Result<std::int32_t> parse_partition(std::string_view text) {
  const auto partition = base::parse_int<std::int32_t>(text);
  if (!partition || *partition < 0)
    return base::invalid("'partition' must be a whole number from 0, the number of a partition");
  return *partition;
}

}  // namespace

Answer show_log_cluster(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [](inspect::LogView& log, base::Deadline until) -> Answer {
    MILLRACE_TRY_ASSIGN(const auto found, log.cluster(until));
    return json_answer(cluster_json(*found, log.kind()));
  });
}

Answer list_topics(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [](inspect::LogView& log, base::Deadline until) -> Answer {
    MILLRACE_TRY_ASSIGN(const auto found, log.topics(until));
    return json_answer(topics_json(*found));
  });
}

Answer show_topic(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [&](inspect::LogView& log, base::Deadline until) -> Answer {
    MILLRACE_TRY_ASSIGN(const auto found, log.topic(call.arguments[0], until));
    return json_answer(topic_json(*found));
  });
}

Answer show_messages(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [&](inspect::LogView& log, base::Deadline until) -> Answer {
    MILLRACE_TRY_ASSIGN(const auto count, parse_count(call.request, "last", kLastDefault,
                                                      static_cast<std::uint32_t>(inspect::kMessagesMax)));
    MILLRACE_TRY_ASSIGN(const bool as_text, parse_flag(call.request, "text"));
    std::optional<std::int32_t> partition;
    if (const auto text = call.request.parameter("partition"); text && !text->empty()) {
      MILLRACE_TRY_ASSIGN(partition, parse_partition(*text));
    }
    const std::string& topic = call.arguments[0];
    MILLRACE_TRY_ASSIGN(const auto found, log.messages(topic, partition, count, until));
    return json_answer(messages_json(topic, found, as_text));
  });
}

Answer create_topic(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [&](inspect::LogView& log, base::Deadline until) -> Answer {
    MILLRACE_TRY_ASSIGN(const auto document, base::parse_json(call.request.body));
    if (!document.is_object()) return base::invalid(R"(send {"topic": "my.topic", "partitions": 3})");
    MILLRACE_TRY_ASSIGN(const auto topic, base::string_member(document.get_object(), "topic"));
    MILLRACE_TRY_ASSIGN(const auto partitions, base::int_member(document.get_object(), "partitions"));
    if (partitions < 1 || partitions > ports::kTopicPartitionsMax)
      return base::invalid(
          fmt::format("'partitions' must be a whole number from 1 to {}", ports::kTopicPartitionsMax));
    MILLRACE_TRY_ASSIGN(const bool created,
                        log.create_topic(std::string(topic), static_cast<std::int32_t>(partitions), until));
    std::string body;
    base::JsonWriter json(body);
    json.begin_object();
    json.key("topic").string(topic);
    json.key("partitions").number(partitions);
    json.key("created").boolean(created);
    json.end_object();
    return json_answer(std::move(body), created ? 201 : 200);
  });
}

Answer list_groups(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [](inspect::LogView& log, base::Deadline until) -> Answer {
    MILLRACE_TRY_ASSIGN(const auto found, log.groups(until));
    return json_answer(groups_json(*found, [&log](const std::string& group) { return log.trend(group); }));
  });
}

Answer show_group(Context& context, const Call& call, base::Deadline deadline) {
  return with_log(context, call, deadline, [&](inspect::LogView& log, base::Deadline until) -> Answer {
    const std::string& group = call.arguments[0];
    MILLRACE_TRY_ASSIGN(const auto found, log.group(group, until));
    const inspect::Trend trend = log.trend(group);
    return json_answer(group_json(found, &trend));
  });
}

}  // namespace millrace::api
