// How a Kafka cluster is reached, and what is asked of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace millrace::adapters::kafka {

struct Options {
  std::string brokers = "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094";  ///< host:port, …
  std::string client_id = "millrace";
  // Of topics that we make. Acknowledged means: on min_in_sync brokers.
  std::int16_t replication_factor = 3;
  std::int16_t min_in_sync = 2;
  std::size_t record_bytes_max = 1'000'000;  ///< Below the brokers' message.max.bytes.
  /// A record that is not acknowledged by then is given up by the client; appends with a longer deadline end
  /// then, those with a shorter one leave records behind that may still come in until then.
  std::chrono::milliseconds delivery_timeout{10'000};
  /// A member that is silent for longer loses its partitions.
  std::chrono::milliseconds session_timeout{10'000};
  /// How often the clients count up their statistics; 0: never.
  std::chrono::milliseconds statistics_interval{5'000};
  /// Settings of the client library, set on every connection: "security.protocol", "sasl.username" …
  std::map<std::string, std::string> client_settings;
};

}  // namespace millrace::adapters::kafka
