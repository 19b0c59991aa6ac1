// Names of the record headers by which the stages understand each other; schema/events describes them.
#pragma once

#include <string>
#include <string_view>

#include "ports/event_log.h"

namespace millrace::ports {

// order.events, written by the relay.
inline constexpr std::string_view kHeaderEventId = "event-id";  ///< The outbox row's id, decimal.
inline constexpr std::string_view kHeaderEpoch = "epoch";       ///< The relay take-over's number, decimal.
inline constexpr std::string_view kHeaderEventType = "event-type";  ///< "OrderCreated" …

// orders_analytics, written by the transformer.
inline constexpr std::string_view kHeaderInputOffset =
    "input-offset";  ///< In order.events; rises but for repeats.
inline constexpr std::string_view kHeaderInputTopic = "input-topic";  ///< The topic id of order.events.

// Dead letters, behind the record's own headers.
inline constexpr std::string_view kHeaderReason = "reason";
inline constexpr std::string_view kHeaderSourceTopic = "source-topic";
inline constexpr std::string_view kHeaderSourcePartition = "source-partition";
inline constexpr std::string_view kHeaderSourceOffset = "source-offset";
inline constexpr std::string_view kHeaderSourceTopicId = "source-incarnation";  ///< Of the source topic.
/// Of a row whose sums are counted, but which is missing in the base table: kHalfBase.
inline constexpr std::string_view kHeaderHalf = "half";
inline constexpr std::string_view kHalfBase = "base";

/// Of a letter that did not fit into the log with its headers: how many bytes its value had before it was
/// cut.
inline constexpr std::string_view kHeaderValueBytes = "value-bytes";

/// The dead letter of a record read from `source`, a topic of that topic id. Its value is cut where the
/// letter would have more than `bytes_max`: a letter that no log takes would hold up everything behind it.
[[nodiscard]] NewRecord dead_letter_of(const Record& record, const TopicPartition& source,
                                       const std::string& topic_id, const std::string& reason,
                                       base::UtcTime now, std::size_t bytes_max);

}  // namespace millrace::ports
