// What an error of the client library or of a broker means to whoever called: the one table.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <librdkafka/rdkafka.h>

#include "base/result.h"

namespace millrace::adapters::kafka {

/// The topic that was asked about by its id is gone. Source: the Kafka protocol's error codes; the header is
/// older.
inline constexpr auto kUnknownTopicId = static_cast<rd_kafka_resp_err_t>(100);

/// kUnavailable: ask again, for as long as it takes. kConflict: the assignment has passed on (or a topic of
/// that name is there): give it up. kRejected: this record is at fault. kNotFound and kInvalid: what was
/// asked for is not there, or makes no sense. kFatal: no wait mends it.
struct ErrorClass {
  rd_kafka_resp_err_t code;
  base::ErrorKind kind;
  std::string_view advice;  ///< What a person looks at; empty where nobody has to.
};

/// The codes that we know. Every other one is kUnavailable: what we have never met is asked again.
[[nodiscard]] std::span<const ErrorClass> error_classes();
[[nodiscard]] ErrorClass classify(rd_kafka_resp_err_t code);

/// True if the code says only that no answer came, so that the client's last trouble says more.
[[nodiscard]] bool is_timeout(rd_kafka_resp_err_t code);

/// The library's text about a connection without what only its makers read.
[[nodiscard]] std::string plain_reason(std::string_view reason);

}  // namespace millrace::adapters::kafka
