// JSON: reading by Boost.JSON behind checks that name the field, writing by appending (numbers keep the
// digits we give).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "base/result.h"

namespace millrace::base {

/// Parses one document; nesting is bounded to 32 levels. Errors: kInvalid with the position.
[[nodiscard]] Result<boost::json::value> parse_json(std::string_view text);

/// The member, or nullptr when it is absent or null.
[[nodiscard]] const boost::json::value* find_member(const boost::json::object& object, std::string_view name);

/// Typed members. Absent or of another type: kInvalid, "'userId' must be a string".
[[nodiscard]] Result<std::string_view> string_member(const boost::json::object& object,
                                                     std::string_view name);
[[nodiscard]] Result<std::int64_t> int_member(const boost::json::object& object, std::string_view name);

/// Appends `text` as a quoted, escaped JSON string.
void append_json_string(std::string& out, std::string_view text);

/// Writes one JSON document by appending to a string; commas are put by itself. Keys are not escaped: they
/// are ours.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view text);
  JsonWriter& number(std::int64_t value);
  JsonWriter& number(std::uint64_t value);
  JsonWriter& number(int value) { return number(std::int64_t{value}); }
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  /// `text` must already be one JSON value, for example a decimal number.
  JsonWriter& raw(std::string_view text);

 private:
  void before_value();
  std::string& out_;
  bool comma_ = false;
};

}  // namespace millrace::base
