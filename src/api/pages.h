// The one page for people: where the routes are.
#pragma once

#include <string>

namespace millrace::api {

[[nodiscard]] std::string console_page();

}  // namespace millrace::api
