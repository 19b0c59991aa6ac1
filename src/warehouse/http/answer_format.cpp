#include "warehouse/http/answer_format.h"

#include <cstdint>
#include <string>
#include <unordered_set>

#include "base/text.h"

namespace millrace::warehouse {
namespace {

const std::unordered_set<std::string> kRowFormats = {"tabseparated",
                                                     "tsv",
                                                     "tabseparatedraw",
                                                     "tsvraw",
                                                     "raw",
                                                     "csv",
                                                     "jsoneachrow",
                                                     "jsonlines",
                                                     "jsonl",
                                                     "ndjson",
                                                     "jsonstringseachrow",
                                                     "jsoncompacteachrow",
                                                     "jsoncompactstringseachrow",
                                                     "rowbinary",
                                                     "native",
                                                     "lineasstring",
                                                     "rawblob",
                                                     "msgpack",
                                                     "null"};

enum class Header { kNone, kLines, kQuotedLines, kBinary };
struct HeaderRule {
  Header kind = Header::kNone;
  int rows = 0;  ///< 1: names; 2: names and types.
};

HeaderRule rule_of(std::string_view format) {
  std::string name = base::to_lower(format);
  int rows = 0;
  if (name.ends_with("withnames")) rows = 1;
  if (name.ends_with("withnamesandtypes")) rows = 2;
  if (rows == 0) return {};
  name.resize(name.rfind("withnames"));
  if (name == "tabseparated" || name == "tsv" || name == "jsoncompacteachrow" ||
      name == "jsoncompactstringseachrow")
    return {Header::kLines, rows};
  if (name == "csv") return {Header::kQuotedLines, rows};
  if (name == "rowbinary") return {Header::kBinary, rows};
  return {};
}

/// A number in 7-bit groups, lowest first; false if it does not end in the piece.
bool read_varint(std::string_view piece, std::size_t& at, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; at < piece.size() && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(piece[at++]);
    value |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
    if ((byte & 0x80u) == 0) return true;
  }
  return false;
}

}  // namespace

AnswerShape shape_of(std::string_view format) {
  if (kRowFormats.contains(base::to_lower(format))) return AnswerShape::kRows;
  return rule_of(format).kind == Header::kNone ? AnswerShape::kWhole : AnswerShape::kHeaded;
}

std::size_t header_size(std::string_view format, std::string_view piece) {
  const HeaderRule rule = rule_of(format);
  if (rule.kind == Header::kBinary) {
    std::size_t at = 0;
    std::uint64_t columns = 0;
    if (!read_varint(piece, at, columns)) return piece.size();
    for (std::uint64_t text = 0; text < columns * static_cast<unsigned>(rule.rows); ++text) {
      std::uint64_t size = 0;
      if (!read_varint(piece, at, size) || size > piece.size() - at) return piece.size();
      at += size;
    }
    return at;
  }
  int rows = 0;
  bool quoted = false;
  for (std::size_t at = 0; at < piece.size(); ++at) {
    if (piece[at] == '"' && rule.kind == Header::kQuotedLines) quoted = !quoted;
    if (piece[at] == '\n' && !quoted && ++rows == rule.rows) return at + 1;
  }
  return piece.size();
}

bool is_framing_setting(std::string_view name) {
  return name == "output_format_json_array_of_rows";
}

}  // namespace millrace::warehouse
