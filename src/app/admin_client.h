// The command line's side of the admin routes: calls to the HTTP API, or to the stores and the log where none
// answers.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/curl/curl_http_client.h"
#include "app/local_admin.h"
#include "app/settings.h"
#include "base/result.h"

namespace millrace::app {

/// One caller thread. Every call names an admin (X-Admin-Id) and ends by `call_timeout`. What comes back is
/// the body of an answer with a 2xx status. Errors are made from the answer, with its `detail` as the
/// sentence: kInvalid (400, 405, 413, 415), kNotFound (404), kConflict (409), kRejected (422), kUnavailable
/// (503, or nothing answers at the API's address: the sentence names it and says what to do), kFatal (any
/// other).
class AdminClient {
 public:
  static constexpr std::chrono::milliseconds kCallTimeout{20'000};

  /// The API at `api.host` and `api.port`; when nothing answers there at the first call, and the event log is
  /// one that several processes share, this process itself (LocalAdmin).
  explicit AdminClient(const Settings& settings, std::chrono::milliseconds call_timeout = kCallTimeout);

  /// `path` with its query, as it stands in the URL: "/admin/jobs/7"; what is variable in it must be
  /// percent-encoded (base::percent_encoded).
  [[nodiscard]] base::Result<std::string> get(std::string_view path);
  [[nodiscard]] base::Result<std::string> post(std::string_view path, std::string_view json_body);
  [[nodiscard]] base::Result<std::string> remove(std::string_view path);

 private:
  [[nodiscard]] base::Result<std::string> send(std::string_view method, std::string_view path,
                                               std::string_view body);
  [[nodiscard]] base::Result<ports::HttpResponse> send_to_api(std::string_view method, std::string_view path,
                                                              std::string_view body);
  /// Whether the API answers, or else what is to be used in its place.
  [[nodiscard]] base::Result<void> find_api();
  const Settings settings_;
  std::unique_ptr<LocalAdmin> local_;
  bool is_found_ = false;
  const std::string url_;
  const std::string admin_id_;
  const std::chrono::milliseconds call_timeout_;
  adapters::curl::CurlHttpClient client_;
};

}  // namespace millrace::app
