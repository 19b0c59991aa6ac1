// The command line's side of the admin routes: calls to the HTTP API of a running `millrace up`.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "adapters/curl/curl_http_client.h"
#include "app/config/settings.h"
#include "base/result.h"

namespace millrace::app {

/// One caller thread. Every call names an admin (X-Admin-Id) and ends by `call_timeout`. What comes back is
/// the body of an answer with a 2xx status. Errors are made from the answer, with its `detail` as the
/// sentence: kInvalid (400, 405, 413, 415), kNotFound (404), kConflict (409), kRejected (422), kUnavailable
/// (503, or nothing answers at the API's address: the sentence names it and asks whether `millrace up` runs),
/// kFatal (any other).
class AdminClient {
 public:
  static constexpr std::chrono::milliseconds kCallTimeout{20'000};

  /// The API at `api.host` and `api.port`.
  explicit AdminClient(const Settings& settings, std::chrono::milliseconds call_timeout = kCallTimeout);

  /// `path` with its query, as it stands in the URL: "/admin/jobs/7"; what is variable in it must be
  /// percent-encoded (base::percent_encoded).
  [[nodiscard]] base::Result<std::string> get(std::string_view path);
  [[nodiscard]] base::Result<std::string> post(std::string_view path, std::string_view json_body);
  [[nodiscard]] base::Result<std::string> remove(std::string_view path);

 private:
  [[nodiscard]] base::Result<std::string> send(std::string_view method, std::string_view path,
                                               std::string_view body);
  const std::string url_;
  const std::string admin_id_;
  const std::chrono::milliseconds call_timeout_;
  adapters::curl::CurlHttpClient client_;
};

}  // namespace millrace::app
