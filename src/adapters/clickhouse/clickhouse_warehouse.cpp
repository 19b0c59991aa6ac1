#include "adapters/clickhouse/clickhouse_warehouse.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/redaction.h"
#include "base/text.h"
#include "base/url.h"

namespace millrace::adapters::clickhouse {
namespace {

/// Codes of rows whose values a table can never take, read without fault.
constexpr std::array kRejectedCodes = {
    69,   // ARGUMENT_OUT_OF_BOUND
    131,  // TOO_LARGE_STRING_SIZE
    321,  // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    349,  // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    407,  // DECIMAL_OVERFLOW
    469,  // VIOLATED_CONSTRAINT
    691,  // UNKNOWN_ELEMENT_OF_ENUM
};
/// Codes of statements that do not fit the tables, and of data that do not fit the statement: a person must
/// change one of them, no row is to blame.
constexpr std::array kInvalidCodes = {
    6,    // CANNOT_PARSE_TEXT
    26,   // CANNOT_PARSE_QUOTED_STRING
    27,   // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    33,   // CANNOT_READ_ALL_DATA
    36,   // BAD_ARGUMENTS
    38,   // CANNOT_PARSE_DATE
    41,   // CANNOT_PARSE_DATETIME
    43,   // ILLEGAL_TYPE_OF_ARGUMENT
    46,   // UNKNOWN_FUNCTION
    47,   // UNKNOWN_IDENTIFIER
    53,   // TYPE_MISMATCH
    62,   // SYNTAX_ERROR
    72,   // CANNOT_PARSE_NUMBER
    73,   // UNKNOWN_FORMAT
    115,  // UNKNOWN_SETTING
    117,  // INCORRECT_DATA
    456,  // UNKNOWN_QUERY_PARAMETER
    457,  // BAD_QUERY_PARAMETER
    497,  // ACCESS_DENIED
};
constexpr std::array kRefusedCredentialCodes = {
    192,  // UNKNOWN_USER
    193,  // WRONG_PASSWORD
    194,  // REQUIRED_PASSWORD
    516,  // AUTHENTICATION_FAILED
};

/// "Code: 60. DB::Exception: …": the number, or 0.
int code_in_text(std::string_view text) {
  constexpr std::string_view kPrefix = "Code: ";
  const auto at = text.find(kPrefix);
  if (at == std::string_view::npos) return 0;
  const auto digits = text.substr(at + kPrefix.size());
  return base::parse_int<int>(digits.substr(0, digits.find_first_not_of("0123456789"))).value_or(0);
}

}  // namespace

base::ErrorKind kind_of_code(int code) {
  if (std::ranges::find(kRefusedCredentialCodes, code) != kRefusedCredentialCodes.end())
    return base::ErrorKind::kFatal;
  if (std::ranges::find(kRejectedCodes, code) != kRejectedCodes.end()) return base::ErrorKind::kRejected;
  if (std::ranges::find(kInvalidCodes, code) != kInvalidCodes.end()) return base::ErrorKind::kInvalid;
  return base::ErrorKind::kUnavailable;
}

namespace {

/// A parameter's value travels in the escaped text form of the TabSeparated format. Source: ClickHouse
/// documentation, HTTP interface, "Tabs and backslashes in parameters".
std::string escaped(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  for (const char c : value) {
    switch (c) {
      case '\\':
        text += "\\\\";
        break;
      case '\t':
        text += "\\t";
        break;
      case '\n':
        text += "\\n";
        break;
      case '\r':
        text += "\\r";
        break;
      case '\0':
        text += "\\0";
        break;
      default:
        text += c;
    }
  }
  return text;
}

/// The server must end the statement by the deadline too: an answer that nobody waits for must not go on
/// writing.
std::string time_limit(base::Deadline deadline) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(deadline.left()).count();
  return fmt::format("max_execution_time={}", std::max<std::int64_t>(1, seconds));
}

}  // namespace

ClickhouseWarehouse::ClickhouseWarehouse(ports::HttpClient& client, Options options)
    : client_(client), options_(std::move(options)) {
  while (!options_.url.empty() && options_.url.back() == '/') options_.url.pop_back();
}

base::Result<void> ClickhouseWarehouse::post(const std::string& target, std::string_view body,
                                             const std::function<base::Result<void>(std::string_view)>& sink,
                                             base::Deadline deadline) {
  const ports::HttpCall call{.method = "POST",
                             .url = options_.url + target,
                             .headers = {{"X-ClickHouse-User", options_.user},
                                         {"X-ClickHouse-Key", options_.password},
                                         {"Content-Type", "application/octet-stream"}},
                             .body = body};
  // The sink's own error must come back as it is; only what the client says is about the warehouse.
  bool sink_failed = false;
  auto answer = client_.send(
      call,
      [&](std::string_view piece) {
        auto taken = sink(piece);
        sink_failed = !taken;
        return taken;
      },
      deadline);
  if (!answer && sink_failed) return std::unexpected(std::move(answer).error());
  if (!answer)
    return base::unavailable(
        fmt::format("the warehouse at {} does not answer: {}", options_.url, answer.error().message),
        answer.error().vendor_code);
  if (answer->status == 200) return {};
  const int code = code_in_text(answer->body);
  const std::string_view first_line = std::string_view(answer->body).substr(0, answer->body.find('\n'));
  const bool refused = code == 0 && (answer->status == 401 || answer->status == 403);
  base::Error error{refused ? base::ErrorKind::kFatal : kind_of_code(code),
                    fmt::format("the warehouse at {} answered {}: {}", options_.url, answer->status,
                                base::printable(base::without_personal_data(first_line), 500)),
                    refused ? static_cast<int>(answer->status) : code};
  if (error.kind == base::ErrorKind::kFatal) error.cure = "check clickhouse.user and clickhouse.password";
  if (!error.cure.empty()) error.message += "; " + error.cure;
  return std::unexpected(std::move(error));
}

base::Result<void> ClickhouseWarehouse::query_stream(
    std::string_view statement, std::string_view format, std::span<const ports::QueryParameter> parameters,
    const std::function<base::Result<void>(std::string_view)>& sink, base::Deadline deadline) {
  std::string target = "/?" + time_limit(deadline);
  if (!format.empty()) target += "&default_format=" + base::percent_encoded(format);
  for (const ports::QueryParameter& parameter : parameters)
    target += fmt::format("&param_{}={}", parameter.name, base::percent_encoded(escaped(parameter.value)));
  return post(target, statement, sink, deadline);
}

base::Result<std::string> ClickhouseWarehouse::query(std::string_view statement, std::string_view format,
                                                     std::span<const ports::QueryParameter> parameters,
                                                     base::Deadline deadline) {
  std::string answer;
  MILLRACE_TRY(query_stream(
      statement, format, parameters,
      [&](std::string_view piece) -> base::Result<void> {
        answer += piece;
        return {};
      },
      deadline));
  return answer;
}

base::Result<void> ClickhouseWarehouse::execute(std::string_view statement,
                                                std::span<const ports::QueryParameter> parameters,
                                                base::Deadline deadline) {
  return query_stream(
      statement, "", parameters, [](std::string_view) -> base::Result<void> { return {}; }, deadline);
}

base::Result<void> ClickhouseWarehouse::insert(std::string_view table,
                                               std::span<const std::string_view> columns,
                                               std::string_view format, std::string_view data,
                                               base::Deadline deadline) {
  std::string statement = fmt::format("INSERT INTO {} (", table);
  for (std::size_t i = 0; i < columns.size(); ++i)
    fmt::format_to(std::back_inserter(statement), "{}{}", i == 0 ? "" : ", ", columns[i]);
  fmt::format_to(std::back_inserter(statement), ") FORMAT {}", format);
  // async_insert would acknowledge before the rows are in the table; the partition limit would refuse a batch
  // of old orders.
  const std::string target = fmt::format("/?{}&async_insert=0&max_partitions_per_insert_block=0&query={}",
                                         time_limit(deadline), base::percent_encoded(statement));
  return post(target, data, [](std::string_view) -> base::Result<void> { return {}; }, deadline);
}

base::Result<void> ClickhouseWarehouse::ping(base::Deadline deadline) {
  return post(
      "/?default_format=TabSeparated", "SELECT 1", [](std::string_view) -> base::Result<void> { return {}; },
      deadline);
}

}  // namespace millrace::adapters::clickhouse
