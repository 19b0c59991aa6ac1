// Members of answers that several shapes have.
#pragma once

#include <string_view>

#include "base/json.h"

namespace millrace::api {

/// Texts that may be absent are empty inside and null in JSON.
inline void text_or_null(base::JsonWriter& json, std::string_view key, std::string_view text) {
  json.key(key);
  if (text.empty())
    json.null();
  else
    json.string(text);
}

}  // namespace millrace::api
