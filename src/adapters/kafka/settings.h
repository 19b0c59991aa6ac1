// What we set on clients of the library, for each of their uses.
#pragma once

#include <string>
#include <string_view>

#include "adapters/kafka/client.h"
#include "adapters/kafka/options.h"
#include "base/result.h"

namespace millrace::adapters::kafka {

/// What a topic must take in one batch above the largest record: the batch's own bytes and headers.
inline constexpr std::size_t kTopicSpareBytes = 100'000;

/// host, host:port or [v6]:port, separated by commas. Errors: kInvalid.
[[nodiscard]] base::Result<void> check_brokers(std::string_view list);

/// Idempotent, acknowledged by all in-sync replicas.
[[nodiscard]] Client::Settings producer_settings(const Options& options, std::size_t batch_bytes_max);
/// Without a group (empty) for reading from any offset.
[[nodiscard]] Client::Settings consumer_settings(const Options& options, const std::string& group);

}  // namespace millrace::adapters::kafka
