#include "base/json.h"

#include <array>
#include <iterator>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/stream_parser.hpp>
#include <fmt/format.h>

#include "base/json_arena.h"
#include "base/text.h"

namespace millrace::base {

namespace json = boost::json;

namespace {

constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kParserBytes = 4'096;  // of the parser's own stack before it takes memory from the heap

/// The parser checks UTF-8 itself, in names and in strings; elsewhere it takes ASCII only.
Result<json::value> parse(std::string_view text, json::storage_ptr storage) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  std::array<unsigned char, kParserBytes> buffer;
  json::stream_parser parser({}, options, buffer.data(), buffer.size());
  parser.reset(std::move(storage));
  boost::system::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && used < text.size() && !trim(text.substr(used)).empty())
    return invalid(fmt::format("not valid JSON: text after the document at byte {}", used));
  if (!error) parser.finish(error);
  if (error) return invalid(fmt::format("not valid JSON at byte {}: {}", used, error.message()));
  return parser.release();
}

}  // namespace

Result<json::value> parse_json(std::string_view text) {
  return parse(text, {});
}

Result<json::value> parse_json(std::string_view text, JsonArena& arena) {
  return parse(text, arena.storage());
}

const json::value* find_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<std::string_view> string_member(const json::object& object, std::string_view name) {
  const json::value* value = find_member(object, name);
  if (value == nullptr || !value->is_string()) return invalid(fmt::format("'{}' must be a string", name));
  return std::string_view(value->get_string());
}

Result<std::int64_t> int_member(const json::object& object, std::string_view name) {
  const json::value* value = find_member(object, name);
  if (value != nullptr && value->is_int64()) return value->get_int64();
  return invalid(fmt::format("'{}' must be a whole number", name));
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        break;
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

void JsonWriter::before_value() {
  if (comma_) out_ += ',';
  comma_ = true;
}
JsonWriter& JsonWriter::begin_object() {
  before_value();
  out_ += '{';
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::end_object() {
  out_ += '}';
  comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::begin_array() {
  before_value();
  out_ += '[';
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::end_array() {
  out_ += ']';
  comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::key(std::string_view name) {
  before_value();
  out_ += '"';
  out_ += name;
  out_ += "\":";
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::string(std::string_view text) {
  before_value();
  append_json_string(out_, text);
  return *this;
}
JsonWriter& JsonWriter::number(std::int64_t value) {
  before_value();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}
JsonWriter& JsonWriter::number(std::uint64_t value) {
  before_value();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}
JsonWriter& JsonWriter::boolean(bool value) {
  before_value();
  out_ += value ? "true" : "false";
  return *this;
}
JsonWriter& JsonWriter::null() {
  before_value();
  out_ += "null";
  return *this;
}
JsonWriter& JsonWriter::raw(std::string_view text) {
  before_value();
  out_ += text;
  return *this;
}

}  // namespace millrace::base
