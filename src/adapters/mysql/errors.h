// The one table from the servers' and the client library's error numbers to what a caller does next.
#pragma once

#include <string_view>

#include "base/result.h"

namespace millrace::adapters::mysql {

/// Numbers of MySQL 8.4 and MariaDB 10.11 and of the client library (2000 to 2999, 5000 to 5099).
[[nodiscard]] base::ErrorKind kind_of(unsigned vendor_code);

/// True if the connection is of no use any more.
[[nodiscard]] bool is_connection_lost(unsigned vendor_code);

[[nodiscard]] base::Error make_error(std::string_view doing, unsigned vendor_code,
                                     std::string_view vendor_text);

}  // namespace millrace::adapters::mysql
