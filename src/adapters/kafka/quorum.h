// Which broker leads the metadata quorum. The client library cannot tell: brokers name any one of them as the
// controller to clients, since it is not theirs to find (KIP-500), and the library has no DescribeQuorum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/result.h"

namespace millrace::adapters::kafka {

/// Asks one broker over a plain connection. Errors: kUnavailable (no answer in time, or none that can be
/// read).
[[nodiscard]] base::Result<std::int32_t> ask_quorum_leader(const std::string& host, std::uint16_t port,
                                                           base::Deadline deadline);

/// DescribeQuorum, version 0, with its length in front.
/// Source: Apache Kafka 4.3, DescribeQuorumRequest.json, RequestHeader.json version 2.
[[nodiscard]] std::string quorum_request();
/// What comes behind the length. Nothing: no leader is known, an error, or not such an answer.
/// Source: DescribeQuorumResponse.json, ResponseHeader.json version 1.
[[nodiscard]] std::optional<std::int32_t> quorum_leader(std::string_view response);

}  // namespace millrace::adapters::kafka
