// The name of a request, by which an answer and the log's lines about it are found together.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::base {

/// What the client calls its request, if that is 1 to 64 letters, digits, '-', '_' or '.', and so safe in a
/// header, in JSON and in a log; else a random name of 32 hexadecimal digits.
[[nodiscard]] std::string request_id(std::optional<std::string_view> from_client);

}  // namespace millrace::base
