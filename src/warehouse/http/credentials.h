// Who a request says that it comes from.
#pragma once

#include <string>
#include <string_view>

#include "warehouse/http/http_connection.h"

namespace millrace::warehouse {

struct Credentials {
  std::string user = "default";
  std::string password;
};

/// From X-ClickHouse-User and -Key, else from Basic authorization, else from the URL.
[[nodiscard]] Credentials credentials_of(const HttpRequest& request);

/// Takes the same time whatever is in the texts.
[[nodiscard]] bool same_secret(std::string_view given, std::string_view wanted);

}  // namespace millrace::warehouse
