#include "transform/resume.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::transform {
namespace {

// name=value;name=value.
constexpr std::string_view kWindowStart = "window-start-offset";
constexpr std::string_view kInputTopic = "input-topic";
constexpr std::string_view kOutputTopic = "output-topic";

std::optional<std::string_view> metadata_field(std::string_view metadata, std::string_view name) {
  while (!metadata.empty()) {
    const std::string_view field = metadata.substr(0, metadata.find(';'));
    metadata.remove_prefix(std::min(metadata.size(), field.size() + 1));
    if (field.starts_with(name) && field.substr(name.size()).starts_with('='))
      return field.substr(name.size() + 1);
  }
  return std::nullopt;
}

/// Errors: kFatal, where the log does not have what going on at `point` needs.
base::Result<void> check(const ResumeFacts& facts, const ResumePoint& point, std::string_view known_input) {
  const auto& [topic, partition] = facts.input;
  if (!known_input.empty() && known_input != facts.input_topic_id)
    return base::fatal(
        fmt::format("topic {} was deleted and recreated: events that were not transformed may have gone with "
                    "it, and the rows of the new ones would be taken for repeats. Stop everything, delete "
                    "topic {} too, and start with millrace up --rebuild",
                    topic, facts.output_topic));
  if (point.position < facts.range.begin)
    return base::fatal(fmt::format(
        "events of partition {} of {} were removed from the log before they were transformed (next "
        "is {}, the log starts at {}): reload the warehouse (millrace up --rebuild), and accept "
        "the loss by setting group {} to the earliest offset",
        partition, topic, point.position, facts.range.begin, facts.group));
  if (point.position > facts.range.end)
    return base::fatal(
        fmt::format("the position {} of group {} lies beyond the end {} of partition {} of {}: the log lost "
                    "acknowledged events or the topic is another one; reload the warehouse",
                    point.position, facts.group, facts.range.end, partition, topic));
  if (point.window_start < facts.range.begin)
    return base::fatal(
        fmt::format("the log of partition {} of {} starts at {}, too late to tell repeats from new events "
                    "(needed from {}): keep the log longer, and reload the warehouse",
                    partition, topic, facts.range.begin, point.window_start));
  return {};
}

}  // namespace

std::string commit_metadata(std::int64_t window_start, const std::string& input_topic_id,
                            const std::string& output_topic_id) {
  return fmt::format("{}={};{}={};{}={}", kWindowStart, window_start, kInputTopic, input_topic_id,
                     kOutputTopic, output_topic_id);
}

bool is_own_commit(const ports::CommittedOffset& committed) {
  return metadata_field(committed.metadata, kWindowStart).has_value();
}

std::int64_t needed_from(const ports::CommittedOffset& committed) {
  return base::parse_int<std::int64_t>(metadata_field(committed.metadata, kWindowStart).value_or("0"))
      .value_or(0);
}

base::Result<ResumePoint> decide_resume(const ResumeFacts& facts) {
  ResumePoint point;
  std::string known_input;
  if (facts.committed && is_own_commit(*facts.committed)) {
    point = {facts.committed->offset, needed_from(*facts.committed), true, {}};
    known_input = metadata_field(facts.committed->metadata, kInputTopic).value_or("");
    if (const auto output = metadata_field(facts.committed->metadata, kOutputTopic);
        output && *output != facts.output_topic_id) {
      // Rows that nobody had read went with the former topic: all that the log has is written again.
      point = {facts.range.begin, facts.range.begin, false,
               fmt::format("topic {} was recreated; writing partition {} again from offset {}",
                           facts.output_topic, facts.input.partition, facts.range.begin)};
      known_input.clear();
    }
  } else {
    // Nothing is committed, or somebody else set the offset: the output itself says how far it got, and what
    // it cannot say is written again. The log has kept the window, for only what is older was removed.
    known_input = facts.progress.input_topic_id;
    point.position = facts.progress.input_offset + 1;
    point.window_start = facts.range.begin;
    // An offset set to the earliest says that what the log has lost is accepted as lost.
    if (facts.committed && facts.committed->offset == facts.range.begin)
      point.position = std::max(point.position, facts.range.begin);
    if (facts.committed)
      point.warning = fmt::format(
          "offset {} of group {} in partition {} was not set by us; resuming at offset {}, behind "
          "the last row in {}",
          facts.committed->offset, facts.group, facts.input.partition, point.position, facts.output_topic);
  }
  MILLRACE_TRY(check(facts, point, known_input));
  return point;
}

}  // namespace millrace::transform
