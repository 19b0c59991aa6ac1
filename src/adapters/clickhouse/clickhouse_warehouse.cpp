#include "adapters/clickhouse/clickhouse_warehouse.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/text.h"

namespace millrace::adapters::clickhouse {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{5'000};
constexpr std::size_t kErrorTextMax = 2'000;

struct CurlGlobal {
  CurlGlobal() { curl_global_init(CURL_GLOBAL_DEFAULT); }
};

/// Codes of refused data or statements; everything else may be different later.
constexpr std::array kRejectedCodes = {
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
    69,   // ARGUMENT_OUT_OF_BOUND
    72,   // CANNOT_PARSE_NUMBER
    73,   // UNKNOWN_FORMAT
    115,  // UNKNOWN_SETTING
    117,  // INCORRECT_DATA
    321,  // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    407,  // DECIMAL_OVERFLOW
    456,  // UNKNOWN_QUERY_PARAMETER
    457,  // BAD_QUERY_PARAMETER
    469,  // VIOLATED_CONSTRAINT
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
  return base::ErrorKind::kUnavailable;
}

class ClickhouseWarehouse::Impl {
 public:
  using Sink = std::function<base::Result<void>(std::string_view)>;

  explicit Impl(Options options) : options_(std::move(options)) {
    static const CurlGlobal global;
    while (!options_.url.empty() && options_.url.back() == '/') options_.url.pop_back();
    headers_ = curl_slist_append(headers_, ("X-ClickHouse-User: " + options_.user).c_str());
    headers_ = curl_slist_append(headers_, ("X-ClickHouse-Key: " + options_.password).c_str());
    headers_ = curl_slist_append(headers_, "Content-Type: application/octet-stream");
    headers_ = curl_slist_append(headers_, "Expect:");
  }

  ~Impl() {
    for (CURL* handle : idle_) curl_easy_cleanup(handle);
    curl_slist_free_all(headers_);
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// One POST of `body` to `path_and_query`; a good answer's bytes go to `sink`.
  base::Result<void> post(const std::string& target, std::string_view body, const Sink& sink,
                          base::Deadline deadline) {
    MILLRACE_TRY_ASSIGN(CURL* const handle, take(deadline));
    Transfer transfer{.sink = sink, .handle = handle, .failed = false, .error_text = {}, .sink_error = {}};
    const std::string url = options_.url + target;
    curl_easy_reset(handle);
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                     std::max<long>(1, static_cast<long>(deadline.left().count())));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectTimeout.count()));
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Impl::on_data);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    if (!options_.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
    const CURLcode outcome = curl_easy_perform(handle);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    give_back(handle, outcome == CURLE_OK);

    if (transfer.sink_error) return std::unexpected(std::move(*transfer.sink_error));
    if (outcome != CURLE_OK)
      return base::unavailable(
          fmt::format("the warehouse at {} does not answer: {}", options_.url, curl_easy_strerror(outcome)));
    if (status != 200) return answer_error(status, transfer.error_text);
    return {};
  }

  [[nodiscard]] std::string escape(std::string_view text) const {
    std::string escaped;
    escaped.reserve(text.size() + 16);
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
          c == '-' || c == '_' || c == '.' || c == '~') {
        escaped += c;
      } else {
        fmt::format_to(std::back_inserter(escaped), "%{:02X}", byte);
      }
    }
    return escaped;
  }

  [[nodiscard]] const Options& options() const { return options_; }

 private:
  struct Transfer {
    const Sink& sink;
    CURL* handle;
    bool failed;
    std::string error_text;
    std::optional<base::Error> sink_error;
  };

  static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* context) {
    auto& transfer = *static_cast<Transfer*>(context);
    const std::string_view piece(data, size * count);
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
      transfer.error_text.append(
          piece.substr(0, kErrorTextMax - std::min(kErrorTextMax, transfer.error_text.size())));
      return piece.size();
    }
    auto taken = transfer.sink(piece);
    if (!taken) {
      transfer.sink_error = std::move(taken).error();
      return CURL_WRITEFUNC_ERROR;
    }
    return piece.size();
  }

  [[nodiscard]] std::unexpected<base::Error> answer_error(long status, const std::string& text) const {
    const int code = code_in_text(text);
    const std::string_view first_line = std::string_view(text).substr(0, text.find('\n'));
    const std::string message = fmt::format("the warehouse at {} answered {}: {}", options_.url, status,
                                            base::printable(first_line, 500));
    const bool refused = code == 0 && (status == 401 || status == 403);
    return base::fail(refused ? base::ErrorKind::kFatal : kind_of_code(code), message, code);
  }

  base::Result<CURL*> take(base::Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_until(lock, deadline.moment(), [this] { return in_use_ < options_.connections_max; }))
      return base::unavailable("all connections to the warehouse are busy");
    if (deadline.passed()) return base::unavailable("the deadline passed before the warehouse was asked");
    ++in_use_;
    if (!idle_.empty()) {
      CURL* const handle = idle_.back();
      idle_.pop_back();
      return handle;
    }
    CURL* const handle = curl_easy_init();
    if (handle == nullptr) {
      --in_use_;
      return base::unavailable("libcurl could not start a request");
    }
    return handle;
  }

  void give_back(CURL* handle, bool healthy) {
    {
      const std::lock_guard lock(mutex_);
      --in_use_;
      if (healthy) idle_.push_back(handle);
    }
    if (!healthy) curl_easy_cleanup(handle);
    freed_.notify_one();
  }

  Options options_;
  curl_slist* headers_ = nullptr;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<CURL*> idle_;  // guarded by mutex_
  std::size_t in_use_ = 0;   // guarded by mutex_
};

namespace {

/// The server must end the statement by the deadline too: an answer that nobody waits for must not go on
/// writing.
std::string time_limit(base::Deadline deadline) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(deadline.left()).count();
  return fmt::format("max_execution_time={}", std::max<std::int64_t>(1, seconds));
}

}  // namespace

ClickhouseWarehouse::ClickhouseWarehouse(Options options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ClickhouseWarehouse::~ClickhouseWarehouse() = default;

base::Result<void> ClickhouseWarehouse::query_stream(
    std::string_view statement, std::string_view format, std::span<const ports::QueryParameter> parameters,
    const std::function<base::Result<void>(std::string_view)>& sink, base::Deadline deadline) {
  std::string target = "/?" + time_limit(deadline);
  if (!format.empty()) target += "&default_format=" + impl_->escape(format);
  for (const ports::QueryParameter& parameter : parameters)
    target += fmt::format("&param_{}={}", parameter.name, impl_->escape(parameter.value));
  return impl_->post(target, statement, sink, deadline);
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
                                         time_limit(deadline), impl_->escape(statement));
  return impl_->post(target, data, [](std::string_view) -> base::Result<void> { return {}; }, deadline);
}

base::Result<void> ClickhouseWarehouse::ping(base::Deadline deadline) {
  return impl_->post(
      "/?default_format=TabSeparated", "SELECT 1", [](std::string_view) -> base::Result<void> { return {}; },
      deadline);
}

}  // namespace millrace::adapters::clickhouse
