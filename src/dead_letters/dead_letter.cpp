#include "dead_letters/dead_letter.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace millrace::dead_letters {
namespace {

constexpr std::string_view kOrderAggregate = "Order";

/// The last of that name: the stage that wrote the letter put its headers behind the record's own.
std::string_view last_header(const ports::Record& record, std::string_view name) {
  for (const ports::Header& header : std::views::reverse(record.headers))
    if (header.name == name) return header.value;
  return {};
}

}  // namespace

std::string to_string(const DeadLetterId& id) {
  return fmt::format("{}/{}/{}", id.topic, id.partition, id.offset);
}

base::Result<DeadLetterId> parse_dead_letter_id(std::string_view topic, std::string_view partition,
                                                std::string_view offset) {
  const auto partition_number = base::parse_int<std::int32_t>(partition);
  const auto offset_number = base::parse_int<std::int64_t>(offset);
  if (topic.empty() || !partition_number || *partition_number < 0 || !offset_number || *offset_number < 0)
    return base::invalid(
        "a dead letter is named by topic, partition and offset of its source, for example "
        "order.events/2/1234");
  return DeadLetterId{std::string(topic), *partition_number, *offset_number};
}

base::Result<DeadLetterId> parse_dead_letter_id(std::string_view text) {
  const auto last = text.rfind('/');
  const auto middle = last == std::string_view::npos || last == 0 ? last : text.rfind('/', last - 1);
  if (last == std::string_view::npos || middle == std::string_view::npos || middle == last)
    return parse_dead_letter_id("", "", "");
  return parse_dead_letter_id(text.substr(0, middle), text.substr(middle + 1, last - middle - 1),
                              text.substr(last + 1));
}

std::optional<DeadLetter> read_dead_letter(ports::Record record) {
  auto id = parse_dead_letter_id(last_header(record, ports::kHeaderSourceTopic),
                                 last_header(record, ports::kHeaderSourcePartition),
                                 last_header(record, ports::kHeaderSourceOffset));
  if (!id) return std::nullopt;
  DeadLetter letter;
  letter.place = {std::move(id->topic), std::string(last_header(record, ports::kHeaderSourceTopicId)),
                  id->partition, id->offset};
  letter.reason = last_header(record, ports::kHeaderReason);
  letter.half_base = last_header(record, ports::kHeaderHalf) == ports::kHalfBase;
  letter.record = std::move(record);
  return letter;
}

base::Result<ports::NewOutboxRow> event_in_place_of(const DeadLetter& letter, std::string_view value,
                                                    base::UtcTime now) {
  const auto event = domain::parse_order_event(value);
  if (!event)
    return base::rejected(
        fmt::format("it would be a dead letter again: {}; give a corrected value", event.error().message));
  const std::string& order = event->image().order_id.value();
  if (!letter.record.key.empty() && letter.record.key != order)
    return base::invalid(fmt::format("the value is an event of order {}, the letter is of {}",
                                     base::printable(order, 80), base::printable(letter.record.key, 80)));
  return ports::NewOutboxRow{.aggregate_id = order,
                             .aggregate_type = std::string(kOrderAggregate),
                             .event_type = std::string(domain::to_string(event->type)),
                             .payload = std::string(value),
                             .created_at = now};
}

}  // namespace millrace::dead_letters
