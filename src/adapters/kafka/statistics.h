// What a client of the library counts about itself (statistics.interval.ms).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::adapters::kafka {

/// Counters are since the client was made.
struct BrokerStatistics {
  std::int32_t id = 0;
  std::string name;                     ///< host:port/id
  bool is_up = false;                   ///< A connection to it stands.
  std::int64_t requests_queued = 0;     ///< Not sent yet.
  std::int64_t requests_in_flight = 0;  ///< Sent, without an answer.
  // Over the last interval, in microseconds; 0 without a request.
  std::int64_t round_trip_us_avg = 0;
  std::int64_t round_trip_us_p99 = 0;
  std::uint64_t requests = 0;
  std::uint64_t send_errors = 0;
  std::uint64_t receive_errors = 0;
  std::uint64_t retries = 0;
  std::uint64_t timeouts = 0;
};

struct ClientStatistics {
  std::string client_id;
  std::string type;                    ///< "producer" or "consumer".
  std::int64_t messages_queued = 0;    ///< Of a producer: not acknowledged yet.
  std::int64_t bytes_queued = 0;       ///< Of these messages.
  std::int64_t operations_queued = 0;  ///< For the thread that polls the client: reports, errors.
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::vector<BrokerStatistics>
      brokers;  ///< By id; only those of the cluster, not the addresses in kafka.brokers.
};

/// Source: librdkafka, STATISTICS.md. What is missing is 0. Errors: kInvalid (not such a JSON document).
[[nodiscard]] base::Result<ClientStatistics> parse_statistics(std::string_view json);

}  // namespace millrace::adapters::kafka
